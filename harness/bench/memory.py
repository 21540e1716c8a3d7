"""The most memory that a piece of work takes, above what was taken before."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass
class Peak:
    """Filled at the end of `peak_memory`.

    Attributes
    ----------
    bytes : int or None
        None where the system does not tell.
    """

    bytes: int | None = None


@contextmanager
def peak_memory(device: torch.device) -> Iterator[Peak]:
    """Measure the peak of the allocator on CUDA, of the resident set on the CPU (Linux), above the level at entry."""
    peak = Peak()
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
        yield peak
        peak.bytes = torch.cuda.max_memory_allocated(device) - before
        return
    level = _reset()
    yield peak
    highest = _status("VmHWM")
    peak.bytes = None if level is None or highest is None else max(0, highest - level)


def _reset() -> int | None:
    """Give freed memory back, forget the high-water mark, and return the level."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        RESET.write_text("5")  # sets the high-water mark to the present size, see proc(5)
    except OSError:
        return None
    return _status("VmRSS")


def _status(field: str) -> int | None:
    """Read a size from the kernel's account of this process, in bytes."""
    for line in STATUS.read_text().splitlines() if STATUS.exists() else ():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return None

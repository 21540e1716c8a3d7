"""Measures what a roofline needs to know of this machine's CPU: matrix products and a copy."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

SIDE = 2048
"""Of the square matrices."""
COPIED = 2**28
"""Bytes that are copied, more than any cache holds."""
REPEATS = 3


def calibrate_cpu() -> None:
    """Print the words that stand for this CPU behind ``winnow cost``; the best of three counts, on torch's threads."""
    source = torch.ones(COPIED, dtype=torch.uint8)
    target = torch.empty_like(source)
    bandwidth = 2 * COPIED / _best(lambda: target.copy_(source))  # every byte is read and written
    fp32, fp16 = (2 * SIDE**3 / _product(dtype) for dtype in (torch.float32, torch.bfloat16))
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads: a product of {SIDE} x {SIDE}, a copy of 256 MB"
    )
    words = {"bandwidth": bandwidth / 1e9, "peak.fp32": fp32 / 1e12, "peak.fp16": fp16 / 1e12}
    print("hardware=cpu", *(f"hardware.{name}={value:.3g}" for name, value in words.items()))


def _product(dtype: torch.dtype) -> float:
    matrix = torch.ones(SIDE, SIDE, dtype=dtype)
    return _best(lambda: matrix @ matrix)


def _best(work: Callable[[], object]) -> float:
    """Seconds of the quickest of some calls."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)

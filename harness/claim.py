"""One process works on a run at a time: an atomic claim that outlives nobody.

A claim is a numbered file that `os.link` creates, which only one process can. Whoever finds the highest one dead or
stale creates the next number; so taking over never removes another's claim.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

HEARTBEAT = 10.0
"""Seconds between signs of life."""
STALE = 120.0
"""Seconds without a sign of life after which a holder on another machine counts as dead."""


class Claim:
    """The claim on one run; a context manager that gives it up at its end.

    Parameters
    ----------
    folder : Path
        The run's folder.

    Attributes
    ----------
    holder : str
        Who holds the run instead, when `held` is false.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.holder = folder, ""
        self.path: Path | None = None
        self._stop = threading.Event()
        self._try()

    @property
    def held(self) -> bool:
        """Whether this process may work on the run."""
        return self.path is not None

    def _try(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        newest = max(_claims(self.folder), default=None)
        if newest is not None and _alive(newest):
            self.holder = _describe(newest)
            return
        number = int(newest.suffix[1:]) + 1 if newest else 1
        draft = self.folder / f".claim-{socket.gethostname()}-{os.getpid()}-{threading.get_ident()}"
        draft.write_text(json.dumps(_identity()))
        path = self.folder / f"claim.{number:06d}"
        try:
            os.link(draft, path)
        except FileExistsError:
            self.holder = _describe(path)
            return
        finally:
            draft.unlink()
        self.path = path
        threading.Thread(target=self._beat, args=(path,), daemon=True).start()

    def _beat(self, path: Path) -> None:
        while not self._stop.wait(HEARTBEAT):
            with suppress(OSError):
                os.utime(path)

    def release(self) -> None:
        """Give the run up, and sweep away the dead claims below."""
        self._stop.set()
        if self.path is not None:
            for claim in sorted(_claims(self.folder)):
                if claim <= self.path:
                    claim.unlink(missing_ok=True)
            self.path = None

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _claims(folder: Path) -> list[Path]:
    return list(folder.glob("claim.*"))


def _identity() -> dict[str, Any]:
    return {"host": _host(), "pid": os.getpid(), "started": _start_time(os.getpid())}


def _host() -> str:
    """The machine and the process namespace: a container of the same name cannot see this one's processes."""
    with suppress(OSError):
        return f"{socket.gethostname()}/{Path('/proc/self/ns/pid').readlink()}"
    return socket.gethostname()


def _start_time(pid: int) -> str | None:
    """When a process started, so that a number given away again is not taken for its first owner; None: no such."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def _read(path: Path) -> dict[str, Any]:
    with suppress(OSError, json.JSONDecodeError):
        found: dict[str, Any] = json.loads(path.read_text())
        return found
    return {}


def _alive(path: Path) -> bool:
    """Whether the holder lives: its process, if it is one of this machine's, else its heartbeat."""
    holder = _read(path)
    if holder.get("host") == _host() and Path("/proc/self/stat").exists():
        return holder["started"] is not None and _start_time(holder["pid"]) == holder["started"]
    try:
        return time.time() - path.stat().st_mtime < STALE
    except OSError:
        return False


def _describe(path: Path) -> str:
    holder = _read(path)
    return f"process {holder.get('pid', '?')} on {str(holder.get('host', '?')).partition('/')[0]}"

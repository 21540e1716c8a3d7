"""One process works on a run at a time: an atomic claim that outlives nobody.

A claim is a numbered file that `os.link` creates, which only one process can, on network file systems too. Whoever
finds the highest one dead or stale creates the next number; so taking over never removes another's claim. A claim's age
is the difference between two times that the file system itself gave, so that no machine's clock matters. A process that
stood still for so long that its claim was taken over finds out by `Claim.lost` and leaves the run alone.
"""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from winnow.harness.common import files
from winnow.harness.common.plain import visible

WHOLE = "claim"
"""Name of the claim on a whole run; its files are ``claim.000001`` and so on."""
FORM = re.compile(r"(claim(?:-\d+-of-\d+)?)\.\d{6,}")
HEARTBEAT = 10.0
"""Seconds between signs of life."""
STALE = 120.0
"""Seconds without a sign of life after which a holder on another machine counts as dead."""
MEASURE = 60.0
"""Seconds for which a look at the file system's clock holds."""

EVICTED = "evicted"
"""Marks a claim that nobody holds, and that stands above a holder's."""

_offsets: dict[Path, tuple[float, float]] = {}


class Claim:
    """The claim on one run; a context manager that gives it up at its end.

    Parameters
    ----------
    folder : Path
        The run's folder.
    name : str
        `WHOLE`, or one of the parts that `part_name` names. Parts of one division can be held side by side; anything
        else excludes each other.

    Attributes
    ----------
    holder : str
        Who holds the run instead, when `held` is false.
    """

    def __init__(self, folder: Path, name: str = WHOLE) -> None:
        self.folder, self.name, self.holder = folder, name, ""
        self.path: Path | None = None
        self._token, self._seen, self._lost = uuid.uuid4().hex, _uptime(), False
        self._stop = threading.Event()
        self._try()

    @property
    def held(self) -> bool:
        """Whether this process may work on the run."""
        return self.path is not None

    def _try(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        newest = self._newest()
        if newest is not None and alive(newest):
            self.holder = describe(newest)
            return
        path = self.folder / f"{self.name}.{int(newest.suffix[1:]) + 1 if newest else 1:06d}"
        draft = self.folder / f".claim-{self._token}"
        draft.write_text(json.dumps(_identity() | {"token": self._token}))
        try:
            if not _link(draft, path):
                self.holder = describe(path)
                return
        finally:
            draft.unlink(missing_ok=True)
        self.path = path
        rival = living_claim(self.folder, besides=self.name)
        if (
            rival is not None
        ):  # looked for after taking one's own: of two at the same moment, at least one sees the other
            self.release()
            self.holder = describe(rival)
            return
        threading.Thread(target=self._beat, args=(path,), daemon=True).start()

    def _newest(self) -> Path | None:
        return max(claims(self.folder, self.name), default=None)

    def _beat(self, path: Path) -> None:
        while not self._stop.wait(HEARTBEAT) and not self.lost(look=True):
            with suppress(OSError):
                os.utime(path)
                self._seen = _uptime()

    def lost(self, look: bool = False) -> bool:
        """Whether another process took the run over.

        Parameters
        ----------
        look : bool
            Look at the folder even if the last sign of life was not long ago.
        """
        if self.path is not None and not self._lost and (look or _uptime() - self._seen > STALE / 2):
            newest = self._newest()  # an older one: a listing from before this claim was made, of a shared folder
            later = newest is not None and newest > self.path
            self._lost = later or _read(self.path).get("token") != self._token
        return self._lost

    def release(self) -> None:
        """Give the run up, and sweep away the dead claims below; nothing of another's is touched."""
        self._stop.set()
        if self.path is not None and not self.lost(look=True):
            for claim in sorted({*claims(self.folder, self.name), self.path}):
                if claim <= self.path:
                    claim.unlink(missing_ok=True)
        self.path = None

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def claims(folder: Path, name: str = "") -> list[Path]:
    """The claims of a run, by the form of their names; copies that somebody made are none.

    Parameters
    ----------
    folder : Path
    name : str
        Of the claim; empty: all.
    """
    found = ((path, FORM.fullmatch(path.name)) for path in folder.glob(f"{WHOLE}*"))
    return [path for path, match in found if match and name in ("", match[1])]


def part_name(index: int, parts: int) -> str:
    """The name of the claim on one of several parts of a run's documents."""
    return f"{WHOLE}-{index}-of-{parts}"


def living_claim(folder: Path, besides: str = "") -> Path | None:
    """A claim on the run, or on a part of it, whose holder lives; None: nobody works on it.

    Parameters
    ----------
    folder : Path
    besides : str
        A claim that is to be excluded, with those that can be held beside it.
    """
    newest: dict[str, Path] = {}
    for path in sorted(claims(folder)):
        newest[path.stem] = path
    division = besides.partition("-of-")[2]
    beside = {name for name in newest if name == besides or (division and name.endswith(f"-of-{division}"))}
    return next((path for name, path in newest.items() if name not in beside and alive(path)), None)


def evict(folder: Path) -> list[str]:
    """Take a run from whoever holds it, as from a process that hangs; it finds out, and leaves the run alone.

    Returns
    -------
    list of str
        The holders.
    """
    gone = []
    for path in sorted(claims(folder)):
        if alive(path):
            gone.append(describe(path))
            after = path.with_suffix(f".{int(path.suffix[1:]) + 1:06d}")
            draft = folder / f".claim-{uuid.uuid4().hex}"
            draft.write_text(json.dumps({EVICTED: True}))
            try:
                _link(draft, after)
            finally:
                draft.unlink(missing_ok=True)
    return gone


def silence(folder: Path, journal: Path) -> float:
    """Seconds since a run was opened, or since its last answer, by the clock of its file system."""
    times = [path.stat().st_mtime for path in (*journal.glob("*.jsonl"), *folder.glob("config.yaml")) if path.exists()]
    return _present(folder.parent) - max(times) if times else 0.0


def _link(draft: Path, path: Path) -> bool:
    """Give a file a second name, which only one process can; a network may lose the answer and ask again."""
    try:
        os.link(draft, path)
    except FileExistsError:
        return draft.stat().st_nlink == 2
    return True


def _uptime() -> float:
    """Seconds on a clock that nobody sets, and that goes on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _identity() -> dict[str, Any]:
    return {"host": _host(), "boot": _boot(), "pid": os.getpid(), "started": _start_time(os.getpid())}


def _boot() -> str:
    """The machine's present boot, which no other machine shares, whatever its name."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


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
    with suppress(OSError, ValueError):
        found = files.parse(path.read_text())
        return found if isinstance(found, dict) else {}
    return {}


def alive(path: Path) -> bool:
    """Whether the holder of a claim lives: its process, if it is one of this machine's, else its heartbeat."""
    holder = _read(path)
    if EVICTED in holder:
        return False
    here = (holder.get("host"), holder.get("boot")) == (_host(), _boot())
    if here and isinstance(holder.get("pid"), int) and Path("/proc/self/stat").exists():
        started = _start_time(holder["pid"])
        if started is not None or _owned(path):
            return started is not None and started == holder.get("started")
    try:
        age = _present(path.parent.parent) - path.stat().st_mtime
    except OSError:
        return False
    return abs(age) < STALE  # abs: a clock that was set back must not keep the dead alive


def _owned(path: Path) -> bool:
    """Whether a file is this user's own; of other users a system may hide the processes."""
    try:
        return path.stat().st_uid == os.getuid()
    except OSError:
        return True


def _present(folder: Path) -> float:
    """The time as the file system of a folder tells it, measured once a minute on a file that is written for it."""
    measured, offset = _offsets.get(folder, (float("-inf"), 0.0))
    if _uptime() - measured > MEASURE:
        probe = folder / f".now-{uuid.uuid4().hex}"
        try:
            probe.touch()
            offset = probe.stat().st_mtime - _uptime()
            probe.unlink()
        except OSError:  # whoever only looks may not be allowed to write
            offset = time.time() - _uptime()
        _offsets[folder] = _uptime(), offset
    return _uptime() + offset


def describe(path: Path) -> str:
    """Name the holder of a claim."""
    holder = _read(path)
    return visible(f"process {holder.get('pid', '?')} on {str(holder.get('host', '?')).partition('/')[0]}")

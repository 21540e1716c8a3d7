"""Processes that decode videos, as many as are worth their start."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, LifoQueue
from threading import Lock

from winnow.harness.common.spent import Spent
from winnow.harness.data.decoding import Decoder
from winnow.harness.data.video.clip import Clip
from winnow.reducers.core.errors import WinnowError

MEGABYTE = 1 << 20
CORES = "WINNOW_CORES"
"""The variable that tells a worker beside others how many cores are its own."""
WORTH = 0.5
"""Seconds that a video waits for a process to get free before another is started, which takes about as long."""


def own_cores() -> int:
    """The cores that this process may use: those that a crew of workers gave it, else all it sees."""
    seen = len(os.sched_getaffinity(0))
    given = os.environ.get(CORES, "")
    return min(seen, max(1, int(given))) if given.isdigit() else seen


@dataclass(eq=False)
class Pool:
    """Processes that decode, each behind a thread that waits for it; what failed is remembered.

    Attributes
    ----------
    workers : int
        How many at most; 0: one, which is asked when its frames are needed, and no sooner.
    ahead : int
        Bytes of frames that may be waiting.
    accept : bool
        Take what decodes of damaged files.
    """

    workers: int = 0
    ahead: int = 2048 * MEGABYTE
    accept: bool = False
    decoders: list[Decoder] = field(default_factory=list)
    failed: dict[tuple[object, ...], WinnowError] = field(default_factory=dict)
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        self._free: LifoQueue[Decoder] = LifoQueue()  # whoever worked last is awake
        self._lock = Lock()
        self.threads = ThreadPoolExecutor(max(1, self.workers), "decode")

    def decode(self, path: Path, frames: int, until: int | None) -> Clip:
        """Let a process decode, and wait for it."""
        found = self._process()
        try:
            with self.spent.on("decode"):
                return found.decode(path, frames, until, self.accept)
        finally:
            self._free.put(found)

    def _process(self) -> Decoder:
        """A process that is free, or gets free soon; else another one, as long as there may be more."""
        if first := self._another(1):
            return first
        try:
            return self._free.get(timeout=WORTH)
        except Empty:
            return self._another(max(1, self.workers)) or self._free.get()

    def _another(self, most: int) -> Decoder | None:
        with self._lock:
            if len(self.decoders) >= most:
                return None
            self.decoders.append(Decoder())
            return self.decoders[-1]

    def close(self) -> None:
        """End the processes, whatever they are at."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            self.workers = 0
            for found in self.decoders:
                found.end()
        self.threads.shutdown()

    @property
    def counts(self) -> tuple[int, int]:
        """Videos decoded, and found decoded on the disk."""
        return sum(found.decoded for found in self.decoders), sum(found.kept for found in self.decoders)

"""Decodes the videos of documents to come, by a pool of processes, while the model answers those before."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from winnow.harness.common.spent import Spent
from winnow.harness.data.decoding import Decoder
from winnow.harness.data.document import Document
from winnow.harness.data.media import there, videos_of
from winnow.harness.data.video.clip import Clip
from winnow.reducers.core.errors import WinnowError

Key = tuple[Path, int, int | None]
Decode = Callable[[Path, int, int | None], Clip]

GUESS = 90 << 20
"""Bytes that a video's frames are thought to take before one has been seen: 32 frames of 720p."""
MEGABYTE = 1 << 20
DEEP = 8
"""Documents to come that are looked at, for each process of the pool."""


def own_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


@dataclass(eq=False)
class Pool:
    """Processes that decode, each behind a thread that waits for it; what failed is remembered.

    Attributes
    ----------
    workers : int
        How many; 0: one, which is asked when its frames are needed, and no sooner.
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
        self._free: SimpleQueue[Decoder] = SimpleQueue()
        for _ in range(max(1, self.workers)):
            self.decoders.append(Decoder())
            self._free.put(self.decoders[-1])
        self.threads = ThreadPoolExecutor(max(1, self.workers), "decode")

    def decode(self, path: Path, frames: int, until: int | None) -> Clip:
        """Let a free process decode, and wait for it."""
        found = self._free.get()
        try:
            with self.spent.on("decode"):
                return found.decode(path, frames, until, self.accept)
        finally:
            self._free.put(found)

    def close(self) -> None:
        """End the processes, whatever they are at."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        for found in self.decoders:
            found.stop()
        self.threads.shutdown()

    @property
    def counts(self) -> tuple[int, int]:
        """Videos decoded, and found decoded on the disk."""
        return sum(found.decoded for found in self.decoders), sum(found.kept for found in self.decoders)


class Ahead:
    """The videos of documents in their order, decoded before they are asked for; the last one is remembered.

    Parameters
    ----------
    pool : Pool
    documents : iterable of Document
        What will be asked for, in this order; some may be passed over.
    frames : int
        How many frames of each video.
    spent : Spent or None
        Counts how long it was waited for.
    decode : callable or None
        Another way to decode, in the place of the pool's processes.
    """

    def __init__(
        self,
        pool: Pool,
        documents: Iterable[Document],
        frames: int,
        spent: Spent | None = None,
        decode: Decode | None = None,
    ) -> None:
        self.pool, self.frames, self.spent = pool, frames, spent or Spent()
        self._decode = decode or pool.decode
        self._rest = iter(documents)
        self._coming: deque[_Coming] = deque()
        self._futures: dict[Key, Future[Clip]] = {}
        self._last: tuple[Key, Clip] | None = None
        self._size = GUESS

    @property
    def waited(self) -> float:
        """Seconds that the model waited for media."""
        return float(self.spent.seconds["wait"])

    def visuals(self, document: Document) -> list[Any]:
        """What a document shows; those that it passes over are forgotten."""
        found = self._take(document)
        self._fill()
        if isinstance(found, BaseException):
            raise found
        return found

    def sample(self, path: Path, frames: int, until: int | None) -> Clip:
        """Get frames of a video: those that wait, else decoded now; what failed once fails at once."""
        key, state = (path, frames, until), there(path).stat()
        if self._last is not None and self._last[0] == key and key not in self._futures:
            return self._last[1]
        fault = (*key, state.st_mtime_ns, state.st_size)
        if fault in self.pool.failed:
            raise self.pool.failed[fault]
        future = self._futures.pop(key, None) or self.pool.threads.submit(self._decode, *key)
        try:
            with self.spent.on("wait"):
                found = future.result()
        except WinnowError as error:
            self.pool.failed[fault] = error
            raise
        self._last, self._size = (key, found), max(1, found.frames.nbytes)
        self._fill()
        return found

    def _take(self, document: Document) -> list[Any] | BaseException:
        if all(coming.document is not document for coming in self._coming):
            return _look(document)
        while (first := self._coming.popleft()).document is not document:
            pass
        needed = {key for coming in (first, *self._coming) for key in coming.keys}
        for key in self._futures.keys() - needed:
            self._futures.pop(key).cancel()
        return first.shown

    def _fill(self) -> None:
        """Ask for the videos of what comes next, as far as there is room."""
        most = DEEP * self.pool.workers
        while len(self._coming) < most and len(self._futures) * self._size < self.pool.ahead:
            document = next(self._rest, None)
            if document is None:
                return
            coming = _Coming(document, _look(document), self.frames)
            self._coming.append(coming)
            for key in coming.keys:
                if key not in self._futures and (self._last is None or self._last[0] != key) and key[0].is_file():
                    self._futures[key] = self.pool.threads.submit(self._decode, *key)


class _Coming:
    """A document to come, and the videos that it shows."""

    def __init__(self, document: Document, shown: list[Any] | BaseException, frames: int) -> None:
        self.document, self.shown = document, shown
        videos = [] if isinstance(shown, BaseException) else videos_of(shown)
        self.keys: list[Key] = [(path, frames, until) for path, until in videos]


def _look(document: Document) -> list[Any] | BaseException:
    """What a document shows, or why that cannot be said; a task that exits the interpreter fails like others."""
    try:
        return document.visuals()
    except (Exception, SystemExit) as error:
        return error

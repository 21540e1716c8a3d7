"""Decodes the videos of documents to come, by a pool of processes, while the model answers those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from pathlib import Path
from threading import RLock
from typing import Any

from winnow.harness.data.document import Document
from winnow.harness.data.media import there, videos_of
from winnow.harness.data.pool import MEGABYTE, Pool
from winnow.harness.data.video.clip import Clip
from winnow.reducers.core.errors import WinnowError

Key = tuple[Path, int, int | None]
Decode = Callable[[Path, int, int | None], Clip]

GUESS = 90 * MEGABYTE
"""Bytes that a video's frames are thought to take before one has been seen: 32 frames of 720p."""
DEEP = 8
"""Documents to come that are looked at, for each process of the pool."""


class Ahead:
    """The videos of documents in their order, decoded before they are asked for; the last one is remembered.

    One thread asks what documents show, as tasks' own code tells that; another may take their videos.

    Parameters
    ----------
    pool : Pool
    documents : iterable of Document
        What will be asked for, in this order; some may be passed over.
    frames : int
        How many frames of each video.
    decode : callable or None
        Another way to decode, in the place of the pool's processes.
    """

    def __init__(self, pool: Pool, documents: Iterable[Document], frames: int, decode: Decode | None = None) -> None:
        self.pool, self.frames = pool, frames
        self._decode = decode or pool.decode
        self._rest = iter(documents)
        self._coming: deque[_Look] = deque()
        self._shown: list[_Look] = []
        self._futures: dict[Key, Future[Clip]] = {}
        self._last: tuple[Key, Clip] | None = None
        self._size, self._bad = GUESS, set[Key]()
        self._lock = RLock()

    def visuals(self, document: Document) -> list[Any]:
        """What a document shows, whose videos are then held until `done`; those that it passes over are forgotten."""
        found = self._take(document)
        while len(self._coming) < DEEP * self.pool.workers and (coming := next(self._rest, None)) is not None:
            look = _Look(coming, self.frames)
            with self._lock:
                self._coming.append(look)
            self._ask()  # while the next document is looked at
        self._ask()
        if isinstance(found.shown, BaseException):
            raise found.shown
        return found.shown

    def done(self, document: Document) -> None:
        """Forget a document's videos."""
        with self._lock:
            self._shown = [look for look in self._shown if look.document is not document]
            self._forget()
        self._ask()

    def sample(self, path: Path, frames: int, until: int | None) -> Clip:
        """Get frames of a video: those that wait, else decoded now; what failed once fails at once."""
        key, state = (path, frames, until), there(path).stat()
        fault = (*key, state.st_mtime_ns, state.st_size)
        with self._lock:
            if self._last is not None and self._last[0] == key:
                return self._last[1]
            if fault in self.pool.failed:
                raise self.pool.failed[fault]
            future = self._futures.get(key) or self._submit(key)
        try:
            found = future.result()
        except WinnowError as error:
            self.pool.failed[fault] = error
            self._bad.add(key)
            raise
        finally:
            with self._lock:
                self._futures.pop(key, None)
        with self._lock:
            self._last, self._size = (key, found), max(1, found.frames.nbytes)
        self._ask()
        return found

    def room(self, documents: int) -> bool:
        """Whether the videos of so many documents may wait at once."""
        return self.pool.workers > 0 and documents * self._size <= self.pool.ahead

    def _take(self, document: Document) -> _Look:
        with self._lock:
            found = None
            if any(look.document is document for look in self._coming):
                while (found := self._coming.popleft()).document is not document:
                    pass
        found = found or _Look(document, self.frames)
        with self._lock:
            self._shown.append(found)
            self._forget()
        return found

    def _forget(self) -> None:
        """Let go of videos that nobody will take."""
        needed = {key for look in (*self._shown, *self._coming) for key in look.keys}
        for key in self._futures.keys() - needed:
            self._futures.pop(key).cancel()

    def _ask(self) -> None:
        """Have the videos of what comes next decoded, as far as there is room."""
        with self._lock:
            for key in (key for look in (*self._shown, *self._coming) for key in look.keys):
                if len(self._futures) * self._size >= self.pool.ahead or not self.pool.workers:
                    return
                known = key in self._futures or key in self._bad or (self._last is not None and self._last[0] == key)
                if not known and key[0].is_file():
                    self._submit(key)

    def _submit(self, key: Key) -> Future[Clip]:
        self._futures[key] = self.pool.threads.submit(self._decode, *key)
        return self._futures[key]


class _Look:
    """A document, what it shows, or why that cannot be said, and the videos among it."""

    def __init__(self, document: Document, frames: int) -> None:
        self.document = document
        self.shown: list[Any] | BaseException
        try:
            self.shown = document.visuals()
            self.keys: list[Key] = [(path, frames, until) for path, until in videos_of(self.shown)]
        except (Exception, SystemExit) as error:  # a task that exits the interpreter fails like others
            self.shown, self.keys = error, []

"""The journal of a run: one appended and flushed row per answered document, so that a killed run loses nothing."""

from __future__ import annotations

import json
import os
import socket
import sys
import uuid
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO, NamedTuple

from winnow.harness.common.files import parse
from winnow.harness.run.record import Place, Row, from_line
from winnow.reducers.core.errors import WinnowError

BEGUN = ".begun"
"""Ending of the notes that say which documents a process is at."""
ANEW = "finish it with that version, or say force=true to answer its documents anew"
UNSIGNED = b'{"task": '
"""How the rows of version 0.1 begin."""
NAMED = 3
"""Damaged rows that are named one by one."""


class Journal:
    """Appends rows to a segment of its own, so that several workers never write one file.

    Parameters
    ----------
    folder : Path
        Holds the segments of all workers.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        worker = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
        started = max(map(_number, _segments(folder)), default=0) + 1
        self.path = folder / f"{started:05d}-{worker}.jsonl"
        self._notes = count()

    def append(self, rows: Iterable[Row]) -> list[Row]:
        """Bring rows to the disk; when this returns they survive a kill.

        Returns
        -------
        list of Row
            The same, light: what became of their tokens stays on the disk.
        """
        kept, left = list[Row](), iter(rows)
        if (first := next(left, None)) is None:
            return kept
        with self.path.open("ab") as file:
            for row in chain([first], left):
                kept.append(row.light(Place(self.path, file.tell())))
                file.write(signed(row.to_line()) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        return kept

    @contextmanager
    def begun(self, keys: Iterable[tuple[str, int]]) -> Iterator[None]:
        """Note which documents are at work; the note stays if the process dies of them, and only then."""
        note = self.path.with_name(f"{self.path.stem}-{next(self._notes)}{BEGUN}")  # some may be prepared meanwhile
        with suppress(FileNotFoundError):  # whoever took the run over has finished it
            note.write_text(json.dumps(list(keys)))
        try:
            yield
        finally:
            note.unlink(missing_ok=True)

    def spare(self, key: tuple[str, int]) -> None:
        """Forget one death on a document, so that it has one more try when it is asked for again."""
        for note in [path for path in _notes(self.path.parent) if _begun(path) == [key]][:1]:
            note.unlink(missing_ok=True)


class Deaths(NamedTuple):
    """How many processes died on a document: in a batch with others, and on it alone."""

    together: int
    alone: int


def deaths(folder: Path) -> dict[tuple[str, int], Deaths]:
    """Documents that processes died on."""
    together, alone = Counter[tuple[str, int]](), Counter[tuple[str, int]]()
    for keys in map(_begun, _notes(folder)):
        (alone if len(keys) == 1 else together).update(keys)
    return {key: Deaths(together[key], alone[key]) for key in together | alone}


def _notes(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{BEGUN}"))


def _begun(note: Path) -> list[tuple[str, int]]:
    """The documents of a note; none if its process died while it wrote, or has just finished them."""
    with suppress(FileNotFoundError, ValueError):
        return [(task, doc_id) for task, doc_id in parse(note.read_text())]
    return []


def read(folder: Path) -> dict[tuple[str, int], Row]:
    """Read all segments, oldest first; the last whole row of a document wins. Rows are light, see `whole`.

    A half-written last line, what a kill in mid-write leaves, is ignored. A damaged line is counted and named, and its
    document is answered again.

    Raises
    ------
    WinnowError
        If another version of Winnow wrote it; names the run.
    """
    found: dict[tuple[str, int], Row] = {}
    bad: list[str] = []
    for path in _segments(folder):
        for number, (offset, line) in enumerate(_lines(path), start=1):
            try:
                row = _row(line, Place(path, offset))
            except WinnowError as error:
                raise WinnowError(f"run {folder.parent.name}: {error}: {ANEW}") from error
            if row is None:
                bad.append(f"{path.name} line {number}")
            else:
                found[row.key] = row
    if bad:
        more = f" and {len(bad) - NAMED} more" if len(bad) > NAMED else ""
        print(
            f"{folder}: {len(bad)} damaged rows ({', '.join(bad[:NAMED])}{more}): their documents are answered again",
            file=sys.stderr,
        )
    return found


def answered(folder: Path) -> int:
    """Count the whole rows of all segments by their checksums alone."""
    return sum(_is_signed(line) for path in _segments(folder) for _, line in _lines(path))


def whole(rows: Iterable[Row]) -> Iterator[Row]:
    """Read light rows again with what became of their tokens, one at a time.

    Raises
    ------
    WinnowError
        If one was damaged since.
    """
    with ExitStack() as opened:
        files: dict[Path, BinaryIO] = {}
        for row in rows:
            if row.place is None:
                yield row
                continue
            if row.place.path not in files:
                opened.close()
                files = {row.place.path: opened.enter_context(row.place.path.open("rb"))}
            file = files[row.place.path]
            file.seek(row.place.offset)
            found = _row(file.readline().removesuffix(b"\n"))
            if found is None or found.key != row.key:
                raise WinnowError(f"{row.place.path} was damaged while it was read: run the same command again")
            yield found


def _number(path: Path) -> int:
    number = path.name.split("-")[0]
    return int(number) if number.isdecimal() else 0


def signed(line: bytes) -> bytes:
    """A line behind its checksum."""
    return b"%08x %s" % (zlib.crc32(line), line)


def _segments(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[0-9]*-*.jsonl") if path.is_file())


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The whole lines of a segment, one at a time, and where each begins."""
    offset = 0
    with suppress(FileNotFoundError), path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield offset, line.removesuffix(b"\n")
            offset += len(line)


def _is_signed(line: bytes) -> bool:
    mark, _, text = line.partition(b" ")
    return mark == b"%08x" % zlib.crc32(text)


def _row(line: bytes, place: Place | None = None) -> Row | None:
    """The row of a line, light if its place is given; None if it is not what was written."""
    text = line.partition(b" ")[2]
    if not _is_signed(line):
        if line.startswith(UNSIGNED):
            raise WinnowError("another version of Winnow wrote its rows, without checksums")
        return None
    try:
        row = from_line(text)
        return row.light(place) if place else row
    except (ValueError, TypeError, KeyError):
        return None

"""The journal of a run: one appended and flushed row per answered document, so that a killed run loses nothing."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.run.record import Row, from_line
from reducers.errors import WinnowError


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
        started = max((int(path.name.split("-")[0]) for path in _segments(folder)), default=0) + 1
        self.path = folder / f"{started:05d}-{worker}.jsonl"

    def append(self, rows: Sequence[Row]) -> None:
        """Bring rows to the disk; when this returns they survive a kill."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write("".join(f"{row.to_line()}\n" for row in rows))
            file.flush()
            os.fsync(file.fileno())


def read(folder: Path) -> dict[tuple[str, int], Row]:
    """Read all segments, oldest first; the last row of a document wins.

    A half-written last line, what a kill in mid-write leaves, is ignored.

    Raises
    ------
    WinnowError
        If any other line is damaged; names file and line.
    """
    return {row.key: row for path in _segments(folder) for row in _rows(path)}


def _segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jsonl"))


def _rows(path: Path) -> Iterator[Row]:
    text = path.read_text(encoding="utf-8", errors="replace")
    complete, _, _rest = text.rpartition("\n")
    for number, line in enumerate(complete.split("\n") if complete else (), start=1):
        try:
            yield from_line(line)
        except (ValueError, TypeError, KeyError) as error:
            raise WinnowError(
                f"{path}, line {number} is damaged ({error}): delete that line to answer its document again, "
                "or say force=true to start anew"
            ) from error

"""The answers of runs that are over: read back, so that nothing is answered twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from winnow.harness.common.finished import damage
from winnow.harness.common.run_files import CONFIG, DONE, IMPORTED, JOURNAL, TRACES
from winnow.harness.run import journal, traces
from winnow.harness.run.record import Row
from winnow.reducers.core.errors import WinnowError

HEAD = 400
"""Bytes at the beginning of a run's configuration that hold its line."""


def adopted(folder: Path, line: str, wanted: Mapping[tuple[str, int], str]) -> Iterator[Row]:
    """Answers of other runs of one line to the very documents that a run lacks, each once.

    Parameters
    ----------
    folder : Path
        Of the run.
    line : str
        `Identity.line`: what decides an answer beside the document.
    wanted : mapping
        Task and number of each document that lacks an answer, and its fingerprint.
    """
    lacking = dict(wanted)
    for other in _of_line(folder.parent, line):
        if other != folder and lacking:
            for row in _rows(other):
                if row.status == "ok" and row.doc == lacking.get(row.key):
                    del lacking[row.key]
                    yield row


def _rows(folder: Path) -> Iterator[Row]:
    """All rows of a run, finished or not; those that are left if it is finished meanwhile."""
    if not (folder / DONE).exists():
        with suppress(OSError, WinnowError):
            yield from journal.whole(journal.read(folder / JOURNAL).values())
    elif TRACES not in damage(folder, [TRACES]):
        yield from traces.read(folder / TRACES)


def _of_line(results: Path, line: str) -> Iterator[Path]:
    """Runs of one line that were computed here, by the first lines of their configuration."""
    for path in sorted(results.glob(f"*/{CONFIG}")):
        if path.parent.name.startswith(IMPORTED):
            continue
        try:
            with path.open("rb") as file:
                head = file.read(HEAD).decode(errors="replace").splitlines()
        except OSError:  # somebody else's, or gone
            continue
        if f"line: {line}" in head:
            yield path.parent

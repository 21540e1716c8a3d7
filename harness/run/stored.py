"""The answers of runs that are over: read back, so that nothing is answered twice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path

from winnow.harness.common.finished import damage
from winnow.harness.common.run_files import CONFIG, DONE, JOURNAL, TRACES
from winnow.harness.run import journal
from winnow.harness.run.record import Row

HEAD = 400
"""Bytes at the beginning of a run's configuration that hold its line."""


def stored_rows(folder: Path) -> list[Row]:
    """The answers that a finished run keeps with its traces; none of a run that kept no answers there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(folder / TRACES)
    except (OSError, pa.ArrowException):
        return []
    names = [field.name for field in fields(Row) if field.name in table.column_names]
    if not {"task", "doc_id", "doc", "answer"} <= set(names):
        return []
    return [Row(**values) for values in table.select(names).to_pylist()]


def adopted(folder: Path, line: str, wanted: Mapping[tuple[str, int], str]) -> list[Row]:
    """Answers of other runs of one line to the very documents that a run lacks.

    Parameters
    ----------
    folder : Path
        Of the run.
    line : str
        `Identity.line`: what decides an answer beside the document.
    wanted : mapping
        Task and number of each document that lacks an answer, and its fingerprint.
    """
    found: dict[tuple[str, int], Row] = {}
    for other in _of_line(folder.parent, line):
        if other != folder and len(found) < len(wanted):
            rows = _rows(other)
            found |= {row.key: row for row in rows if row.status == "ok" and row.doc == wanted.get(row.key)}
    return list(found.values())


def _rows(folder: Path) -> list[Row]:
    if (folder / DONE).exists():
        return [] if TRACES in damage(folder, [TRACES]) else stored_rows(folder)
    return list(journal.read(folder / JOURNAL).values())


def _of_line(results: Path, line: str) -> Iterator[Path]:
    """Runs of one line, by the first lines of their configuration."""
    for path in sorted(results.glob(f"*/{CONFIG}")):
        try:
            with path.open("rb") as file:
                head = file.read(HEAD).decode(errors="replace").splitlines()
        except OSError:  # somebody else's, or gone
            continue
        if f"line: {line}" in head:
            yield path.parent

"""The names of a run's files, `DONE` is written last and holds their digests; and what reads its tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from winnow.harness.common.files import parse
from winnow.reducers.core.errors import WinnowError

DONE, FAILED, RESULT, CONFIG, ENV, JOURNAL = "DONE", "FAILED", "result.json", "config.yaml", "env.json", "journal"
SCORES, TRACES = "scores.parquet", "traces.parquet"
IMPORTED = "imported-"
"""How the names of runs begin that somebody else computed; no computed run is called so."""


class Score(NamedTuple):
    """What one document is worth, the stratum that it counts for, and the video or picture that it asks about."""

    score: float
    stratum: str = ""
    media: str = ""


Scores = Mapping[tuple[str, str], Mapping[int, Score]]
"""By task and metric, and by document."""


def read_scores(folder: Path) -> Scores:
    """Read a run's scores; those that were read last are remembered.

    Raises
    ------
    WinnowError
        If it has none any more, or damaged ones.
    """
    with whole(folder / SCORES):
        return _read_scores(folder, (folder / SCORES).stat().st_mtime_ns)


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Read one of a run's files.

    Raises
    ------
    WinnowError
        If it is missing or damaged; names it.
    """
    try:
        yield
    except (OSError, ValueError, LookupError, TypeError, NotImplementedError) as error:  # JSON, pyarrow, and their rows
        state = "missing" if isinstance(error, FileNotFoundError) else "damaged"
        raise WinnowError(f"{path} is {state}: run {path.parent.name} again with force=true") from error


@lru_cache(maxsize=64)
def _read_scores(folder: Path, changed: int) -> Scores:
    rows = read_table(folder / SCORES)
    media: dict[tuple[str, int], str] = {}
    if rows and "media" not in rows[0] and (folder / TRACES).exists():  # version 0.2 noted it with the traces alone
        media = {(row["task"], row["doc_id"]): row.get("media") or "" for row in read_table(folder / TRACES)}
    found: dict[tuple[str, str], dict[int, Score]] = {}
    for row in rows:
        about = row.get("media") or media.get((row["task"], row["doc_id"]), "")
        score = Score(float(row["score"]), row.get("stratum") or "", about)
        found.setdefault((row["task"], row["metric"]), {})[row["doc_id"]] = score
    return found


def read_table(
    path: Path, columns: Sequence[str] | None = None, document: tuple[str, int] | None = None
) -> list[dict[str, Any]]:
    """Read rows of one of a run's tables, of one document if it is named; columns that it lacks are left out.

    Raises
    ------
    WinnowError
        If it is missing or damaged.
    """
    import pyarrow.parquet as pq

    with whole(path):
        there = pq.read_schema(path).names
        if not {"task", "doc_id"} & {*(columns or ("task", "doc_id"))} <= {*there}:
            raise TypeError
        columns = there if columns is None else [name for name in columns if name in there]
        only = [("task", "==", document[0]), ("doc_id", "==", document[1])] if document else None
        found: list[dict[str, Any]] = pq.read_table(path, columns=columns, filters=only).to_pylist()
    return found


def samples_path(folder: Path, task: str) -> Path:
    """Where a run keeps what it answered to a task's documents, a line of JSON each."""
    return folder / f"samples_{task}.jsonl"


def read_samples(folder: Path, task: str, most: int | None = None) -> Iterator[dict[str, Any]]:
    """Read them, the first ones alone if `most` is given; nothing of a run that has none, as an imported one.

    Raises
    ------
    WinnowError
        If a line is damaged.
    """
    path = samples_path(folder, task)
    if path.exists():
        with whole(path), path.open(encoding="utf-8") as file:
            for found in map(parse, islice(file, most)):
                found["doc_id"]
                yield found

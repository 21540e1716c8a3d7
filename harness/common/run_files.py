"""The names of a run's files, `DONE` is written last and holds their digests; and what reads its tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from winnow.harness.common.files import parse
from winnow.reducers.core.errors import WinnowError

if TYPE_CHECKING:
    import pyarrow as pa

DONE, FAILED, RESULT, CONFIG, ENV, JOURNAL = "DONE", "FAILED", "result.json", "config.yaml", "env.json", "journal"
SCORES, TRACES = "scores.parquet", "traces.parquet"
IMPORTED = "imported-"
"""How the names of runs begin that somebody else computed; no computed run is called so."""


PART = 256
"""Rows of a table that are looked at at once."""


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
    columns = [column.to_pylist() for column in score_table(folder).itercolumns()]
    found: dict[tuple[str, str], dict[int, Score]] = {}
    for task, doc, metric, score, stratum, media in zip(*columns, strict=True):
        found.setdefault((task, metric), {})[doc] = Score(score, stratum, media)
    return found


def score_table(folder: Path) -> pa.Table:
    """Read a run's scores: task, doc_id, metric, score, stratum and media, the last two empty where not known.

    Raises
    ------
    WinnowError
        If they are missing or damaged.
    """
    with whole(folder / SCORES):
        return _score_table(folder)


def _score_table(folder: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(folder / SCORES) as file:
        table = file.read()
    texts: dict[str, Any] = {}
    for name in ("stratum", "media"):
        known = table[name].cast(pa.string()) if name in table.column_names else pa.nulls(len(table), pa.string())
        texts[name] = known.fill_null("") if known.null_count else known  # to make a scalar pyarrow imports pandas
    if "media" not in table.column_names and (folder / TRACES).exists():  # version 0.2 noted it with the traces alone
        rows = read_table(folder / TRACES, ["task", "doc_id", "media"])
        media = {(row["task"], row["doc_id"]): row.get("media") or "" for row in rows}
        keys = zip(table["task"].to_pylist(), table["doc_id"].to_pylist(), strict=True)
        texts["media"] = pa.array([media.get(key, "") for key in keys], pa.string())
    scores = {"score": table["score"].cast(pa.float64())}
    return pa.table({name: table[name] for name in ("task", "doc_id", "metric")} | scores | texts)


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


def rows_of(path: Path, columns: Sequence[str], documents: Iterable[tuple[str, int]]) -> list[dict[str, Any]]:
    """Read some columns of one of a run's tables, of some documents; what comes behind the last of them is not read."""
    import pyarrow.parquet as pq

    left, found = set(documents), []
    with whole(path), pq.ParquetFile(path) as table:
        names = [name for name in ("task", "doc_id", *columns) if name in table.schema_arrow.names]
        for part in table.iter_batches(PART, columns=names) if left else ():
            for row in part.to_pylist():
                if (key := (row["task"], row["doc_id"])) in left:
                    left.discard(key)
                    found.append(row)
            if not left:
                break
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

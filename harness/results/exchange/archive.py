"""All results as one parquet or CSV file, and back into a folder of runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from winnow.harness.common import files
from winnow.harness.common.errors import first_line, leave_out
from winnow.harness.common.find_run import find_run
from winnow.harness.common.run_files import DONE, RESULT, score_table
from winnow.harness.common.run_files import SCORES as SCORE_FILE
from winnow.harness.results.exchange import bundle, bundled, unbundle
from winnow.harness.run.result import Result, results_below
from winnow.reducers.core.errors import WinnowError

COLUMNS = ("run", "settings", "context", "model", "method", "asked", "finished", "result")
SCORES = ("task", "doc_id", "metric", "score", "stratum", "media")
ORDER = (*COLUMNS[:-1], *SCORES, "result")
TOGETHER = 100
"""Runs that are written at a time."""
SUFFIXES = (".parquet", ".csv")
FULL = ".zip"
LARGEST = 2 << 30
"""Bytes of a file that is read, packed or not."""
MOST = 20_000_000
"""Lines of a file that is read."""


def write(folder: Path, out: Path, names: Sequence[str] = (), full: bool = False) -> int:
    """Write results of a store to one file: a line per scored document, with its run's result.

    Parameters
    ----------
    folder : Path
        Of the runs.
    out : Path
    names : sequence of str
        Runs; by default all that are finished.
    full : bool
        Whether all that is known of them is written, as a zip; see `winnow.harness.results.exchange.bundle`.

    Returns
    -------
    int
        How many runs.

    Raises
    ------
    WinnowError
        If there are none, or the format is not known.
    """
    _check(out, (FULL,) if full else SUFFIXES)
    asked = {find_run(name, folder, finished=True).name for name in names}
    every = results_below(folder, outdated=bool(names))
    results = [result for result in every if result["id"] in asked or (not names and result["status"] == "complete")]
    if not results:
        raise WinnowError(f"there are no finished runs in {folder}: make some with run.py")
    if full:
        return bundle.write(results, folder, out)
    written: list[str] = []
    files.write(out, lambda draft: written.extend(_fill(draft, results, folder, out.suffix)))
    return len(written)


def _readable(results: Iterable[Result], folder: Path, schema: pa.Schema) -> Iterator[tuple[str, pa.Table]]:
    """The lines of each run; one whose scores cannot be read is named and left out."""
    for result in results:
        try:
            yield result["id"], _lines(result, folder, schema)
        except WinnowError as error:
            leave_out(error)


def _fill(draft: Path, results: Sequence[Result], folder: Path, suffix: str) -> list[str]:
    """Write some runs at a time, so that no more of them are in memory; name them."""
    import pyarrow.csv

    schema = pa.schema(dict.fromkeys(ORDER, pa.string()) | {"doc_id": pa.int64(), "score": pa.float64()})
    write = pq.ParquetWriter if suffix == ".parquet" else pyarrow.csv.CSVWriter
    with write(draft, schema) as file:
        left, written = _readable(results, folder, schema), list[str]()
        while some := [*islice(left, TOGETHER)]:
            file.write_table(pa.concat_tables(table for _, table in some))
            written += [run for run, _ in some]
    if not written:
        raise WinnowError(f"there are no scores in {folder} that can be read: run its cells again with force=true")
    return written


def _check(path: Path, suffixes: Sequence[str]) -> None:
    if path.suffix not in suffixes:
        hint = ", or say --full" if path.suffix == FULL else ""
        raise WinnowError(f"{path} is not allowed: choose a name that ends in {' or '.join(suffixes)}{hint}")


def _lines(result: Result, folder: Path, schema: pa.Schema) -> pa.Table:
    """The scores of a run, each with the run's facts; with the first of them its result."""
    scores = score_table(folder / result["id"])
    names = ("id", "settings", "context", "model", "label", "asked", "finished")
    facts = {
        column: pa.repeat(pa.scalar(result[name], pa.string()), len(scores))  # type: ignore[literal-required]
        for column, name in zip(COLUMNS, names, strict=False)
    }
    told = {"result": pa.array([json.dumps(result), *[""] * (len(scores) - 1)][: len(scores)], pa.string())}
    found = facts | {name: scores[name] for name in SCORES} | told
    return pa.table(found).select(schema.names).cast(schema)


def read(path: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Make runs of a file that `write` wrote; those that are there already stay as they are.

    They get names of their own, so that none stands for a run that was, or will be, computed here.

    Parameters
    ----------
    path : Path
    folder : Path
        Where the runs go.

    Returns
    -------
    tuple
        The names of the runs that are new, and a line for each that could not be taken.

    Raises
    ------
    WinnowError
        If it is no such file, or too large for one.
    """
    _check(path, (*SUFFIXES, FULL))
    if not path.exists():
        raise WinnowError(f"{path} does not exist: write one with `winnow export FILE`")
    if path.suffix == FULL:
        return unbundle.read(path, folder)
    _bound(path)
    new, bad, table = [], [], _table(path)
    names = set(table["run"])
    for name, lines in table.groupby("run", sort=False):
        try:
            result = bundled.result_of(str(name), next((text for text in lines["result"] if text), ""), names)
            here = folder / result["id"]
            if not bundled.is_there(here, result):
                _make(here, lines, result)
                new.append(here.name)
        except (WinnowError, ValueError, TypeError, KeyError) as error:
            bad.append(f"run {str(name)[:40]!r} is left out: {first_line(error)}")
    return new, bad


def _bound(path: Path) -> None:
    """Refuse what could fill the memory; a few bytes of Parquet can stand for as many lines as one likes."""
    bytes_, lines = path.stat().st_size, 0
    if path.suffix == ".parquet":
        try:
            found = pq.read_metadata(path)
        except (ValueError, OSError):  # told by who reads it
            return
        groups = (found.row_group(place).total_byte_size for place in range(found.num_row_groups))
        bytes_, lines = max(bytes_, sum(groups)), found.num_rows
    if bytes_ > LARGEST or lines > MOST:
        raise WinnowError(f"{path} has {bytes_} bytes and {lines} lines: at most {LARGEST} and {MOST} are read")


def _table(path: Path) -> pd.DataFrame:
    text = {"run": str, "settings": str, "context": str, "asked": str, "stratum": str, "media": str, "result": str}
    try:
        csv = path.suffix == ".csv"
        table = pd.read_csv(path, dtype=text, keep_default_na=False) if csv else pd.read_parquet(path)
    except (ValueError, OSError) as error:  # what pandas and pyarrow raise for other formats and damage
        raise WinnowError(f"{path} was not written by `winnow export`: it cannot be read as {path.suffix}") from error
    if not {*COLUMNS, *SCORES} <= set(table):
        raise WinnowError(f"{path} was not written by `winnow export`: its columns are {', '.join(table)}")
    return table


def _make(here: Path, lines: pd.DataFrame, result: dict[str, Any]) -> None:
    """Make a run of its lines."""
    stranger = next((task for task in set(lines["task"]) if task not in {one["task"] for one in result["tasks"]}), None)
    if stranger is not None:
        raise WinnowError(f"it scores a task that it does not have, {str(stranger)[:40]!r}")
    scores = lines[list(SCORES)].astype({"score": float})
    files.write(here / SCORE_FILE, partial(scores.to_parquet, index=False))
    files.write_json(here / RESULT, result)
    files.write_text(here / DONE, "")

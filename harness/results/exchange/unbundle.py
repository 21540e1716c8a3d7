"""Runs of a zip that `winnow export --full` wrote, or anybody else: named, bounded and checked, none executed."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.common.errors import first_line
from winnow.harness.common.finished import seal
from winnow.harness.common.run_files import CONFIG, ENV, RESULT, SCORES, TRACES
from winnow.harness.results.exchange import bundled
from winnow.harness.results.exchange.bundle import FORMAT, LISTING, RUNS
from winnow.reducers.core.errors import WinnowError

LARGEST = 8 << 30
"""Bytes of all files, unpacked."""
MOST = 1 << 30
"""Bytes of one file, unpacked; and of what a Parquet file stands for."""
NAMES = re.compile(rf"{CONFIG}|{ENV}|{RESULT}|{SCORES}|{TRACES}|samples_{bundled.NAME.pattern}\.jsonl")
COLUMNS = {SCORES: {"task", "doc_id", "metric", "score"}, TRACES: {"task", "doc_id"}}
DAMAGE = (WinnowError, zipfile.BadZipFile, ValueError, TypeError, KeyError, OSError, RuntimeError, NotImplementedError)
"""What a forged or damaged member raises."""


def read(path: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Make runs of a bundle; those that are there already stay as they are.

    Returns
    -------
    tuple
        The names of the runs that are new, and a line for each that could not be taken.

    Raises
    ------
    WinnowError
        If it is no bundle, or too large for one.
    """
    try:
        with zipfile.ZipFile(path) as packed:
            return _read(packed, path, folder)
    except zipfile.BadZipFile as error:
        raise WinnowError(f"{path} was not written by `winnow export --full`: it cannot be read as .zip") from error


def _read(packed: zipfile.ZipFile, path: Path, folder: Path) -> tuple[list[str], list[str]]:
    size = sum(member.file_size for member in packed.infolist())
    if size > LARGEST:
        raise WinnowError(f"{path} has {size} bytes unpacked: at most {LARGEST} are read")
    new, bad, listing = [], [], _listing(packed, path)
    for run in listing:
        try:
            name = _make(packed, str(run), listing, folder)
            new += [name] if name else []
        except DAMAGE as error:
            bad.append(f"run {str(run)[:40]!r} is left out: {first_line(error)}")
    return new, bad


def _listing(packed: zipfile.ZipFile, path: Path) -> Mapping[str, Any]:
    try:
        found = files.parse(_member(packed, LISTING))
    except DAMAGE:
        found = None
    if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("runs"), dict):
        raise WinnowError(f"{path} was not written by `winnow export --full` of this version: it has no {LISTING}")
    runs: dict[str, Any] = found["runs"]
    return runs


def _member(packed: zipfile.ZipFile, name: str) -> bytes:
    """Read a member, of which no more than its directory says is unpacked."""
    if packed.getinfo(name).file_size > MOST:
        raise WinnowError(f"its {name} has more than {MOST} bytes")
    return packed.read(name)


def _make(packed: zipfile.ZipFile, run: str, listing: Mapping[str, Any], folder: Path) -> str:
    """Make one run; empty: it is there."""
    if not bundled.NAME.fullmatch(run):
        raise WinnowError(f"{run[:40]!r} is no name of a run or a task")
    found: dict[str, bytes] = {}
    for name, digest in dict(listing[run]).items():
        if not NAMES.fullmatch(name):
            raise WinnowError(f"{name[:40]!r} is no file of a run")
        found[name] = _member(packed, f"{RUNS}/{run}/{name}")
        if sha256(found[name]).hexdigest() != digest:
            raise WinnowError(f"its {name} is not what {LISTING} says")
    result = bundled.result_of(run, found.pop(RESULT).decode(), listing)
    if bundled.is_there(folder / result["id"], result):
        return ""
    tasks = {task["task"] for task in result["tasks"]}
    for name, data in found.items():
        _check(name, data, tasks)
    files.write_folder(folder / result["id"], partial(_fill, found, result))
    return str(result["id"])


def _fill(found: Mapping[str, bytes], result: dict[str, Any], place: Path) -> None:
    for name, data in found.items():
        (place / name).write_bytes(data)
    files.write_json(place / RESULT, result)
    seal(place, "", "")


def _check(name: str, data: bytes, tasks: set[str]) -> None:
    """Refuse what no run writes under such a name."""
    if name in COLUMNS:
        _check_table(name, data, tasks)
    elif name == ENV:
        _is(isinstance(files.parse(data), dict), name)
    elif name != CONFIG:  # which is read as a stranger's wherever it is read
        _is(name.removeprefix("samples_").removesuffix(".jsonl") in tasks, name)
        rows = map(files.parse, data.splitlines())
        _is(all(isinstance(row, dict) and isinstance(row.get("doc_id"), int) for row in rows), name)


def _check_table(name: str, data: bytes, tasks: set[str]) -> None:
    import pyarrow.parquet as pq

    with pq.ParquetFile(io.BytesIO(data)) as table:
        meta = table.metadata
        if sum(meta.row_group(place).total_byte_size for place in range(meta.num_row_groups)) > MOST:
            raise WinnowError(f"its {name} stands for more than {MOST} bytes")
        _is(COLUMNS[name] <= set(table.schema_arrow.names), name)
        _is(set(table.read(["task"])["task"].unique().to_pylist()) <= tasks, name)


def _is(good: bool, name: str) -> None:
    if not good:
        raise WinnowError(f"its {name} is not what a run writes")

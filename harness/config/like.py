"""``reducer.like=RUN``: the finished run whose token counts random dropping repeats, sample by sample."""

from __future__ import annotations

import glob
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from harness.config.cell import Cell
from harness.config.schema import DownsampleConfig
from harness.run.identity import identify
from harness.run.store import CONFIG, DONE
from reducers.errors import WinnowError


def resolve(like: object, results: Path, what: str = "reducer.like=") -> str:
    """Find the run that is meant.

    Parameters
    ----------
    like : object
        A run's id, a prefix that only one run has, or its folder.
    results : Path
        Folder of the runs.
    what : str
        How errors call it.

    Returns
    -------
    str
        Its id.

    Raises
    ------
    WinnowError
        If it is no run of this folder, several, or not finished.
    """
    name = Path(str(like)).name
    found = sorted(path.parent.name for path in results.glob(f"{glob.escape(name)}*/{CONFIG}"))
    if name in found:
        found = [name]
    if not found or isinstance(like, float):
        raise WinnowError(f"{what}{like} is no run in {results}: `winnow tables` lists them, or give its folder")
    if len(found) > 1:
        raise WinnowError(f"{what}{like} means {len(found)} runs: choose {' | '.join(found)}")
    if not (results / found[0] / DONE).exists():
        raise WinnowError(f"{what}{like} is not finished: run it to its end first, with the command that made it")
    return found[0]


def counts(cell: Cell, run: str) -> dict[str, list[int]]:
    """Read how many visual tokens each layer of a run processed, by the key that the cell's samples have.

    Raises
    ------
    WinnowError
        If the run is of another model or its input, other tasks or another limit.
    """
    import pyarrow.parquet as pq

    folder = cell.results / run
    theirs = yaml.safe_load((folder / CONFIG).read_text())["inputs"]
    ours = json.loads(json.dumps(identify(cell).inputs))
    for name, here, there in _differences(ours, theirs):
        raise WinnowError(
            f"reducer.like={run} has {name}={there}, this run {here}: replay a run with the same model, tasks and limit"
        )
    table = pq.read_table(folder / "traces.parquet", columns=["task", "doc_id", "visual_per_layer"])
    return {f"{cell.seed}/{row['task']}/{row['doc_id']}": row["visual_per_layer"] for row in table.to_pylist()}


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    whole = vars(DownsampleConfig())
    ours, theirs = (
        made["context"] | {"downsample": made["method"].get("downsample", whole)} for made in (ours, theirs)
    )
    for group in ("model", "tasks", "downsample"):
        for name, value in ours[group].items():
            if theirs[group].get(name) != value:
                yield f"{group}.{name}", value, theirs[group].get(name)

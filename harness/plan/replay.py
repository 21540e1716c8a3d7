"""``reducer.like=RUN``: how many tokens a finished run kept, which random dropping repeats sample by sample."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from winnow.harness.common.run_files import CONFIG, IMPORTED, TRACES, read_table
from winnow.harness.common.yaml_text import load as load_yaml
from winnow.harness.config.cell import Cell
from winnow.harness.config.schema import DownsampleConfig
from winnow.harness.plan.identity import identify
from winnow.reducers.core.errors import WinnowError


def counts(cell: Cell, run: str) -> dict[str, list[int]]:
    """Read how many visual tokens each layer of a run processed, by the key that the cell's samples have.

    Raises
    ------
    WinnowError
        If the run is of another model or its input, other tasks or another limit.
    """
    return _recorded(cell, run, "visual_per_layer")


def fates(cell: Cell, run: str) -> dict[str, list[int]]:
    """Read the last layer that saw each visual token; errors as of `counts`."""
    return _recorded(cell, run, "last_layer")


def _recorded(cell: Cell, run: str, column: str) -> dict[str, list[int]]:
    folder = cell.results / run
    if run.startswith(IMPORTED):
        raise WinnowError(f"reducer.like={run} is imported: give a run that was computed here")
    theirs = load_yaml((folder / CONFIG).read_text(encoding="utf-8"))["inputs"]
    if "answers" not in theirs:
        raise WinnowError(f"reducer.like={run} is a run of an older version of Winnow: run it again first")
    ours = json.loads(json.dumps(identify(cell).inputs))
    for name, here, there in _differences(ours, theirs):
        raise WinnowError(
            f"reducer.like={run} has {name}={there}, this run {here}: replay a run with the same model, tasks and limit"
        )
    rows = read_table(folder / TRACES, ["task", "doc_id", column])
    return {f"{cell.seed}/{row['task']}/{row['doc_id']}": row[column] for row in rows}


def _differences(ours: dict[str, Any], theirs: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    one, other = _compared(ours), _compared(theirs)
    for group in one:
        for name, value in one[group].items():
            if other[group].get(name) != value:
                yield f"{group}.{name}", value, other[group].get(name)


def _compared(inputs: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What must be equal: the model, what was asked of the tasks, the documents, and the input that they are given."""
    answers, asked = inputs["answers"], inputs["asked"]
    whole = vars(DownsampleConfig())
    return {
        "model": answers["model"],
        "tasks": asked["tasks"],
        "documents": answers["documents"] or {},
        "downsample": answers["method"].get("downsample", whole),
    }

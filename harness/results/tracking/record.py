"""What a tracker is told of a finished run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winnow.harness.common.run_files import CONFIG, ENV, RESULT
from winnow.harness.config.stored import stored_config
from winnow.harness.results.plots.tradeoff import draw
from winnow.harness.results.tables import tidy
from winnow.harness.results.tables.runs import rows
from winnow.harness.run.result import read_result, results_below
from winnow.reducers.core.errors import WinnowError

FIGURES = ("value", "low", "high", "n", "failed", "unread", "delta", "delta_low", "delta_high", "delta_p")
RANDOM = ("random_delta", "random_low", "random_high", "random_p")
WHOLE = ("entrance", "mean", "last", "tflops", "flops_share", "kv_bytes")


@dataclass(frozen=True)
class Record:
    """One run.

    Attributes
    ----------
    run, name : str
        Its id, under which it is found again, and how people call it.
    config : dict
        Its settings, flat: ``model.name`` and the like.
    metrics : dict
        Its figures with their intervals, per task as ``task/value``, and what the method kept and costs.
    table : list of dict
        The table of the runs that can be compared with it.
    files : list of Path
        Its result, settings and environment.
    plots : dict
        Name -> picture: accuracy of these runs against the visual tokens kept, per task.
    """

    run: str
    name: str
    config: dict[str, Any]
    metrics: dict[str, float]
    table: list[dict[str, str]]
    files: list[Path]
    plots: dict[str, Path]


def record_of(folder: Path, place: Path) -> Record:
    """Gather what there is to say of a finished run.

    Parameters
    ----------
    folder : Path
        Of the run.
    place : Path
        Where pictures are drawn.
    """
    result = read_result(folder)
    alike = [one for one in results_below(folder.parent) if one["context"] == result["context"]]
    metrics = {
        name: value
        for compared in tidy.compared(alike, folder.parent)
        if compared[0]["id"] == result["id"]
        for row in tidy.rows_of(*compared)
        for name, value in _numbers(row)
    }
    plots = {}
    for task in (one["task"] for one in result["tasks"]):
        with suppress(WinnowError):  # without figures or visual tokens there is nothing to draw
            draw(alike, place / f"{task}.png", task, result["model"])
            plots[task] = place / f"{task}.png"
    name = " ".join(filter(None, [result["model"], result["label"], result["asked"]]))
    kept = [path for path in (folder / file for file in (RESULT, CONFIG, ENV)) if path.exists()]
    config = dict(flat(stored_config(folder)["cell"]))
    return Record(result["id"], name, config, metrics, rows(alike, folder.parent), kept, plots)


def _numbers(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    for name in (*FIGURES, *RANDOM, *WHOLE):
        if row[name] is not None:
            yield (name if name in WHOLE else f"{row['task']}/{name}"), float(row[name])


def flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of a nested mapping, by their dotted names."""
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item

"""What a method costs in accuracy: the paired difference to the unreduced run on the same documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness import files
from reducers.errors import WinnowError

BASELINE = "none"
Result = dict[str, Any]


def baselines(results: Iterable[Result]) -> dict[str, Result]:
    """Find the finished unreduced run of each context."""
    return {r["context"]: r for r in results if r["reducer"] == BASELINE and r["status"] == "complete"}


def drops(result: Result, baseline: Result | None, folder: Path) -> dict[str, dict[str, float]]:
    """Compare a run with its baseline, task by task, in points of accuracy (negative: the method lost).

    Parameters
    ----------
    result, baseline : dict
        Results; without a baseline, or for the baseline itself, there is nothing to compare.
    folder : Path
        Where the runs lie.
    """
    if baseline is None or baseline["id"] == result["id"] or result["status"] != "complete":
        return {}
    known = result.get("drop") or {}
    if known.get("baseline") == [baseline["id"], baseline["finished"]]:
        found: dict[str, dict[str, float]] = known["tasks"]
        return found
    metrics = {task["task"]: task["metric"] for task in result["tasks"]}
    ours, theirs = (_scores(folder / r["id"] / "scores.parquet", metrics) for r in (result, baseline))
    return {name: _compare(name, ours[name], theirs[name]) for name in metrics}


def settle(results: Sequence[Result], folder: Path) -> None:
    """Keep the comparisons of these results with them, in memory and on disk, as each takes a second to make."""
    found = baselines(results)
    for result in results:
        baseline = found.get(result["context"])
        tasks = drops(result, baseline, folder)
        kept = {"baseline": [baseline["id"], baseline["finished"]], "tasks": tasks} if baseline and tasks else None
        if kept and kept != result.get("drop"):
            result["drop"] = kept
            with suppress(OSError):  # somebody else's runs can be looked at, too
                files.write_json(folder / result["id"] / "result.json", result)


def _compare(name: str, ours: Mapping[int, float], theirs: Mapping[int, float]) -> dict[str, float]:
    import numpy as np

    from harness.stats import paired_difference

    if set(ours) != set(theirs):
        raise WinnowError(f"the runs hold different documents of task '{name}': run both again with force=true")
    order = sorted(ours)
    difference = paired_difference(np.array([ours[i] for i in order]), np.array([theirs[i] for i in order]))
    return {key: round(100 * getattr(difference, key), 4) for key in ("mean", "low", "high")} | {"p": difference.p}


def _scores(path: Path, metrics: Mapping[str, str]) -> dict[str, dict[int, float]]:
    """Read the scores of each task's main metric, by document."""
    import pyarrow.parquet as pq

    found: dict[str, dict[int, float]] = {name: {} for name in metrics}
    for row in pq.read_table(path, columns=["task", "doc_id", "metric", "score"]).to_pylist():
        if metrics.get(row["task"]) == row["metric"]:
            found[row["task"]][row["doc_id"]] = row["score"]
    return found

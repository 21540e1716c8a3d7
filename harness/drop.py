"""What a method costs in accuracy: paired differences, to the unreduced run and to random dropping at equal budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from harness import files
from reducers.errors import WinnowError

BASELINE = "none"
Result = dict[str, Any]


def baselines(results: Iterable[Result]) -> dict[str, Result]:
    """Find the finished unreduced run of each context."""
    finished = (r for r in results if r["reducer"] == BASELINE and r["status"] == "complete")
    return {r["context"]: r for r in finished if max(r.get("downsample", {"": 1}).values()) == 1}


def replays(results: Iterable[Result]) -> dict[str, Result]:
    """Find, by the id of a run, the last finished run that dropped at random as many tokens as it did."""
    finished = (r for r in results if r["status"] == "complete" and r["knobs"].get("like"))
    return {r["knobs"]["like"]: r for r in sorted(finished, key=lambda r: r["finished"])}


def drops(
    result: Result, baseline: Result | None, folder: Path, kept: Literal["drop", "gain"] = "drop"
) -> dict[str, dict[str, float]]:
    """Compare a run with another one, task by task, in points of accuracy (negative: the method lost).

    Parameters
    ----------
    result, baseline : dict
        Results; without a baseline, or for the baseline itself, there is nothing to compare.
    folder : Path
        Where the runs lie.
    kept : {"drop", "gain"}
        Under which key the result keeps the comparison: against no reduction, or against random dropping.
    """
    if baseline is None or baseline["id"] == result["id"] or result["status"] != "complete":
        return {}
    known = result.get(kept) or {}
    if known.get("baseline") == [baseline["id"], baseline["finished"]]:
        found: dict[str, dict[str, float]] = known["tasks"]
        return found
    metrics = {task["task"]: task["metric"] for task in result["tasks"]}
    ours, theirs = (_scores(folder / r["id"] / "scores.parquet", metrics) for r in (result, baseline))
    return {name: _compare(name, ours[name], theirs[name]) for name in metrics}


def settle(results: Sequence[Result], folder: Path) -> None:
    """Keep the comparisons of these results with them, in memory and on disk, as each takes a second to make."""
    unreduced, random = baselines(results), replays(results)
    for result in results:
        _settle(result, unreduced.get(result["context"]), folder, "drop")
        _settle(result, random.get(result["id"]), folder, "gain")


def _settle(result: Result, baseline: Result | None, folder: Path, kept: Literal["drop", "gain"]) -> None:
    tasks = drops(result, baseline, folder, kept)
    if baseline is None or not tasks:
        return
    made = {"baseline": [baseline["id"], baseline["finished"]], "tasks": tasks}
    if made != result.get(kept):
        result[kept] = made
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

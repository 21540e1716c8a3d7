"""What a method costs in accuracy: paired differences, to the unreduced run and to random dropping at equal budget."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from winnow.harness.run.store import amend
from winnow.reducers.core.errors import WinnowError

BASELINE = "none"
Result = dict[str, Any]
Scores = dict[int, tuple[str, float]]


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
    scored = {task["task"]: task for task in result["tasks"] if task["metric"]}
    metrics = {name: task["metric"] for name, task in scored.items()}
    ours, theirs = (_scores(folder / r["id"] / "scores.parquet", metrics) for r in (result, baseline))
    return {n: _compare(n, ours[n], theirs[n], task.get("combine", "mean")) for n, task in scored.items()}


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
            amend(folder / result["id"], result)


def _compare(name: str, ours: Scores, theirs: Scores, combine: Literal["mean", "sum"]) -> dict[str, float]:
    from winnow.harness.score.stratified import difference

    if set(ours) != set(theirs):
        raise WinnowError(f"the runs hold different documents of task '{name}': run both again with force=true")
    strata: dict[str, tuple[list[float], list[float]]] = {}
    for document in sorted(ours):
        stratum, score = ours[document]
        for values, value in zip(strata.setdefault(stratum, ([], [])), (score, theirs[document][1]), strict=True):
            values.append(value)
    first, second = ({key: pair[side] for key, pair in strata.items()} for side in (0, 1))
    found = difference(first, second, combine)
    return {key: round(100 * getattr(found, key), 4) for key in ("mean", "low", "high")} | {"p": found.p}


def _scores(path: Path, metrics: Mapping[str, str]) -> dict[str, Scores]:
    """Read the scores of each task's main metric, by document, with the stratum of each."""
    import pyarrow.parquet as pq

    found: dict[str, Scores] = {name: {} for name in metrics}
    for row in pq.read_table(path).to_pylist():
        if metrics.get(row["task"]) == row["metric"]:
            found[row["task"]][row["doc_id"]] = row.get("stratum", ""), row["score"]
    return found

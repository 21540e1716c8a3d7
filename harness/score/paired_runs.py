"""What a method costs in accuracy: paired differences, to the unreduced run and to random dropping at equal budget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Literal

from winnow.harness.common.finished import amend
from winnow.harness.common.result import OWN
from winnow.harness.run.result import ComparisonResult, DifferenceResult, Result
from winnow.harness.score.pooled import figures, members_of
from winnow.reducers.core.errors import WinnowError

BASELINE, RANDOM = "none", "random"
METHOD = "clustered by video"
"""Stands with a stored comparison, so that one by another method is made anew."""
Versus = Literal["drop", "gain"]
WRITERS = 16
"""Threads that keep comparisons: they wait for the disk, for several files of each run."""


def baselines(results: Iterable[Result]) -> dict[str, Result]:
    """Find the finished unreduced run of each context."""
    complete = (r for r in results if r["status"] == "complete" and not r.get("stress"))
    finished = (r for r in complete if r["reducer"] == BASELINE and OWN not in r.get("label", ""))
    return {r["context"]: r for r in finished if max(r.get("downsample", {}).values(), default=1) == 1}


def replays(results: Iterable[Result]) -> dict[str, Result]:
    """Find, by the id of a run, the last finished run that dropped at random as many tokens as it did."""
    complete = (r for r in results if r["status"] == "complete" and r["reducer"] == RANDOM and not r.get("stress"))
    finished = (r for r in complete if r["knobs"].get("like"))
    return {r["knobs"]["like"]: r for r in sorted(finished, key=lambda r: r["finished"])}


def drops(
    result: Result, baseline: Result | None, folder: Path, versus: Versus = "drop"
) -> dict[str, DifferenceResult]:
    """Compare a run with another one, figure by figure, in points (negative: the method lost).

    Parameters
    ----------
    result, baseline : Result
        Without a baseline, or for the baseline itself, there is nothing to compare.
    folder : Path
        Where the runs lie.
    versus : {"drop", "gain"}
        Under which key the result stores the comparison: against no reduction, or against random dropping.

    Raises
    ------
    WinnowError
        If the scores of one of them cannot be read, or are those of other documents.
    """
    if baseline is None or baseline["id"] == result["id"] or result["status"] != "complete":
        return {}
    stored = result.get(versus)
    if stored and stored["baseline"] == _state(baseline):
        return stored["tasks"]
    from winnow.harness.score.paired import compare

    here, there = folder / result["id"], folder / baseline["id"]
    names = [name for name, found in figures(result).items() if found["mean"] is not None]
    return {name: compare(here, there, result, members_of(name)).plain() for name in names}


def settle(results: Sequence[Result], folder: Path) -> None:
    """Store the comparisons of these results with them, in memory and on disk, as reading all scores takes long."""
    unreduced, random = baselines(results), replays(results)
    new = [
        result
        for result in results
        if _settle(result, unreduced.get(result["context"]), folder, "drop")
        | _settle(result, random.get(result["id"]), folder, "gain")
    ]
    with ThreadPoolExecutor(WRITERS) as pool:
        [*pool.map(partial(_keep, folder), new)]


def _keep(folder: Path, result: Result) -> None:
    with suppress(OSError):  # somebody else's runs can be looked at, too
        amend(folder / result["id"], result)


def _settle(result: Result, baseline: Result | None, folder: Path, versus: Versus) -> bool:
    """Compare, unless it is known; whether there is something new to keep."""
    tasks: dict[str, DifferenceResult] = {}
    with suppress(WinnowError):  # tables say why there is no difference
        tasks = drops(result, baseline, folder, versus)
    if baseline is None or not tasks:
        return False
    made = ComparisonResult(baseline=_state(baseline), tasks=tasks)
    known = made == result.get(versus)
    result[versus] = made
    return not known


def _state(baseline: Result) -> list[str]:
    return [baseline["id"], baseline["finished"], METHOD]

"""Two runs against each other on the same samples: the comparison of every table, report and command."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from winnow.harness.common.run_files import Score, read_scores
from winnow.harness.run.result import DifferenceResult, Result, TaskResult
from winnow.harness.score.pooled import layout_of
from winnow.harness.score.stats import Difference, difference
from winnow.reducers.core.errors import WinnowError


@dataclass(frozen=True)
class Compared:
    """A paired difference.

    Attributes
    ----------
    difference : Difference
        First run minus second one, in points of the benchmark's figure.
    samples, videos : int
        Questions, and videos (or pictures) that they are about.
    agree : float
        Share of the samples that both runs scored the same.
    """

    difference: Difference
    samples: int
    videos: int
    agree: float

    def plain(self) -> DifferenceResult:
        """As a result keeps it."""
        found = self.difference
        mean, low, high = (round(value, 4) for value in (found.mean, found.low, found.high))
        return {"mean": mean, "low": low, "high": high, "p": found.p}


def compare(first: Path, second: Path, result: Result, tasks: Sequence[str]) -> Compared:
    """Compare two runs on the samples of a task, or on the mean over several.

    Parameters
    ----------
    first, second : Path
        Folders of the runs.
    result : Result
        Of the first run: which metric counts, and whether the figure is a mean or a sum over strata.
    tasks : sequence of str

    Raises
    ------
    WinnowError
        If the runs answered different documents.
    """
    ours: list[tuple[TaskResult, list[Score]]] = []
    theirs: list[float] = []
    for task in result["tasks"]:
        if task["task"] in tasks and task["metric"]:
            here, there = (read_scores(folder).get((task["task"], task["metric"]), {}) for folder in (first, second))
            if set(here) != set(there):
                raise WinnowError(
                    f"{first.name} and {second.name} hold different documents of task '{task['task']}': "
                    "run both again with force=true"
                )
            # a document that failed before its video was named has a name in the other run alone
            ours.append((task, [one._replace(media=one.media or there[doc].media) for doc, one in here.items()]))
            theirs += [there[doc].score for doc in here]
    scores = [score.score for _, found in ours for score in found]
    if not scores:
        raise WinnowError(f"{first.name} and {second.name} share no scored task of {', '.join(tasks)}")
    layout = layout_of(ours)
    found = difference(scores, theirs, layout)
    points = Difference(100 * found.mean, 100 * found.low, 100 * found.high, found.p)
    same = sum(a == b for a, b in zip(scores, theirs, strict=True))
    return Compared(points, len(scores), layout.clusters, same / len(scores))

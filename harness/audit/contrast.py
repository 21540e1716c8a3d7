"""Figures and paired differences of runs, on all of a benchmark or on a part of it; intervals are clustered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from winnow.harness.audit.runs import Key, Ran
from winnow.harness.common.run_files import Score
from winnow.harness.run.result import TaskResult
from winnow.harness.score.layout import Layout, lay_out
from winnow.harness.score.pooled import figures, layout_of, members_of
from winnow.harness.score.stats import Difference, Figure, difference, figure

Only = Callable[[Key], bool]
PERCENT = 100.0


@dataclass(frozen=True)
class Contrast:
    """A paired difference in points, first run minus second one, and the scores behind it."""

    gap: Difference
    ours: Sequence[float]
    theirs: Sequence[float]
    layout: Layout

    @property
    def gaps(self) -> list[float]:
        """The difference of each sample."""
        return [a - b for a, b in zip(self.ours, self.theirs, strict=True)]

    @property
    def n(self) -> int:
        """Samples."""
        return len(self.ours)


def names(ran: Ran) -> list[str]:
    """The figures of a run that have a value."""
    return [name for name, found in figures(ran.result).items() if found["mean"] is not None]


def contrast(first: Ran, second: Ran, name: str, only: Only | None = None) -> Contrast | None:
    """Compare two runs in one figure, on the documents that count and that `only` lets pass; None without any."""
    parts = [*_parts(first, second, name, only)]
    pairs = [pair for _, found in parts for pair in found]
    if not pairs:
        return None
    layout = layout_of([(task, [one for one, _ in found]) for task, found in parts])
    ours, theirs = [one.score for one, _ in pairs], [other.score for _, other in pairs]
    return Contrast(_points(difference(ours, theirs, layout)), ours, theirs, layout)


def gained(ran: Ran, base: Ran) -> Ran:
    """The same run with its gain over another one in the place of each score; documents that both have one of."""
    pairs = ((key, answer, base.answers.get(key)) for key, answer in ran.answers.items())
    answers = {
        key: replace(answer, score=answer.score._replace(score=answer.score.score - other.score.score))
        for key, answer, other in pairs
        if answer.score and other and other.score
    }
    return replace(ran, answers=answers)


def value(ran: Ran, name: str, only: Only | None = None) -> tuple[Figure, int] | None:
    """One figure of a run in points, on the documents that `only` lets pass, and how many these are."""
    parts = [(task, [one for one, _ in found]) for task, found in _parts(ran, ran, name, only)]
    scores = [one.score for _, found in parts for one in found]
    if not scores:
        return None
    found = figure(scores, layout_of(parts))
    return Figure(PERCENT * found.mean, PERCENT * found.low, PERCENT * found.high), len(scores)


def share(values: Sequence[float], media: Sequence[str]) -> Figure:
    """The mean of some values of 0 to 1, in percent."""
    found = figure(values, lay_out(media))
    return Figure(PERCENT * found.mean, PERCENT * found.low, PERCENT * found.high)


def change(first: Sequence[float], second: Sequence[float], media: Sequence[str]) -> Difference:
    """The paired difference of two values of each sample, in percent of 1."""
    return _points(difference(first, second, lay_out(media)))


def _points(found: Difference) -> Difference:
    return Difference(PERCENT * found.mean, PERCENT * found.low, PERCENT * found.high, found.p)


def _parts(
    first: Ran, second: Ran, name: str, only: Only | None
) -> Iterator[tuple[TaskResult, list[tuple[Score, Score]]]]:
    """By task of a figure, the scores of both runs, for documents that both have one of."""
    for task in first.result["tasks"]:
        if task["task"] not in members_of(name) or not task["metric"]:
            continue
        pairs = []
        for key, answer in first.answers.items():
            other = second.answers.get(key)
            if key[0] == task["task"] and answer.score and other and other.score and (only is None or only(key)):
                media = answer.score.media or other.score.media
                pairs.append((answer.score._replace(media=media), other.score))
        if pairs:
            yield task, pairs

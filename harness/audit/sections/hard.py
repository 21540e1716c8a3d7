"""The samples that less input gets wrong: benchmarks are easy, and what is easy hides differences (VTC-Bench)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from winnow.harness.audit.card import Check, Judgement, Line, Measured, line
from winnow.harness.audit.contrast import Only, contrast, names, value
from winnow.harness.audit.measures.decline import decline
from winnow.harness.audit.runs import Ran, Runs

HARD, EASY = "hard: less input is wrong", "easy: less input is right"
GAIN, DECLINE = "minus random dropping, ", "average decline ratio, "


def _measure(runs: Runs) -> Measured:
    small = runs["downsample"]
    groups = {HARD: _where(small, right=False), EASY: _where(small, right=True)}
    lines = [one for group, only in groups.items() for one in _group(runs, group, only)]
    return Measured([*lines, *(one for group, only in groups.items() for one in _decline(runs, group, only))])


def _where(small: Ran, right: bool) -> Only:
    chosen = {key for key, answer in small.answers.items() if answer.score and (answer.score.score >= 0.5) == right}
    return chosen.__contains__


def _group(runs: Runs, group: str, only: Only) -> Iterator[Line]:
    method = runs["method"]
    for name in names(method):
        for what, role in (("unreduced", "unreduced"), ("method", "method"), ("random dropping", "random")):
            found = value(runs[role], name, only) if role in runs else None
            if found is not None:
                yield line(f"{what}, {group}", found[0], "%", n=found[1], on=name)
        gap = contrast(method, runs["random"], name, only) if "random" in runs else None
        if gap is not None:
            yield line(f"{GAIN}{group}", gap.gap, n=gap.n, on=name)


def _decline(runs: Runs, group: str, only: Only) -> Iterator[Line]:
    """Mean over figures of the share of the unreduced accuracy that is lost; a figure without any does not count."""
    method, base = runs["method"], runs["unreduced"]
    gaps = [gap for name in names(method) if (gap := contrast(method, base, name, only)) and any(gap.theirs)]
    found = [decline(gap.ours, gap.theirs, gap.layout) for gap in gaps]
    if found:
        mean = sum(one.mean for one in found) / len(found)
        half = math.sqrt(sum(((one.high - one.low) / 2) ** 2 for one in found)) / len(found)
        note = "the share of the unreduced accuracy that is lost, the mean over benchmarks"
        yield Line(f"{DECLINE}{group}", 100 * mean, "%", 100 * (mean - half), 100 * (mean + half), note=note)


def _judge(lines: Sequence[Line]) -> Judgement:
    gains = [one for one in lines if one.what == f"{GAIN}{HARD}"]
    lost = next((one for one in lines if one.what == f"{DECLINE}{HARD}"), None)
    if lost is None:
        return "open", "less input gets nothing wrong that the whole input gets right: there are no hard samples here"
    says = f"{lost.value:.0f} % of the unreduced accuracy is lost on the samples that less input gets wrong"
    if gains and not all(one.above for one in gains):
        return "finding", f"{says}, and it is not better there than random dropping"
    return "sound", says


CHECK = Check(
    "hard",
    "Hard samples",
    "no gain over random dropping where less input is wrong",
    ("unreduced", "downsample"),
    ("random",),
    _measure,
    _judge,
)

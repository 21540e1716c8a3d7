"""Stability of what is kept under changes that no viewer would notice: JPEG, one pixel's shift, other frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from winnow.harness.audit.card import Check, Judgement, Line, Measured, line
from winnow.harness.audit.contrast import share
from winnow.harness.audit.measures.sets import by_chance, jaccard
from winnow.harness.audit.runs import Ran, Runs
from winnow.harness.audit.sections import kinds
from winnow.harness.score.stats import figure

CHANGES = {"reencoded": "JPEG once more", "shifted": "one pixel's shift", "jittered": "frames up to one earlier"}
OVERLAP, OTHERWISE = "Jaccard index of kept sets", "answers that change"


def _measure(runs: Runs) -> Measured:
    changes = [one for role in CHANGES if role in runs for one in _change(runs, role)]
    return Measured([*changes, *kinds.lines(runs)])


def _change(runs: Runs, role: str) -> Iterator[Line]:
    method, other, what = runs["method"], runs[role], CHANGES[role]
    ours, theirs = method.kept, other.kept
    keys = [key for key in ours if key in theirs and len(ours[key]) == len(theirs[key])]
    if keys:
        found = figure([jaccard(ours[key], theirs[key]) for key in keys])
        chance = [by_chance(len(ours[key]), int(ours[key].sum()), int(theirs[key].sum())) for key in keys]
        yield line(OVERLAP, found, "", n=len(keys), on=what, note=f"{sum(chance) / len(chance):.2f} by chance")
        yield Line(f"{OVERLAP}, by chance", sum(chance) / len(chance), n=len(keys), on=what)
    yield _answers(method, other, what)


def _answers(method: Ran, other: Ran, what: str) -> Line:
    keys = [key for key in method.answers if key in other.answers]
    changed = [float(method.answers[key].said != other.answers[key].said) for key in keys]
    found = share(changed, [method.answers[key].media for key in keys])
    return line(OTHERWISE, found, "%", n=len(keys), on=what)


def _judge(lines: Sequence[Line]) -> Judgement:
    found = [one for one in lines if one.what == OVERLAP]
    if not found:
        return "open", "what its tokens were is not known"
    chance = {one.on: one.value for one in lines if one.what == f"{OVERLAP}, by chance"}
    worst = min(found, key=lambda one: one.value - chance[one.on])
    says = f"Jaccard index {worst.value:.2f} after {worst.on}, {chance[worst.on]:.2f} by chance"
    half = (1 + chance[worst.on]) / 2
    if worst.value < half:
        return "finding", f"{says}: nearer to chance than to the same set"
    if sinks := kinds.mostly_sinks(lines):
        return "finding", sinks
    return "sound", f"{says}, at the worst"


CHECK = Check(
    "stability",
    "Stability",
    "a kept set that is nearer to chance than to itself after a change that no viewer would notice, or mostly of sinks",
    ("reencoded", "shifted"),
    ("jittered", "unreduced", "random"),
    _measure,
    _judge,
)

"""Position ids: kept as they were, or numbered without gaps. Grounding shows what question answering hides."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.harness.audit.card import Check, Judgement, Line, Measured, line
from winnow.harness.audit.contrast import contrast, names
from winnow.harness.audit.measures.abilities import ability
from winnow.harness.audit.runs import Runs

OWN, ABILITY = "as it is, minus", "grounding"
LACKING = {"grounding": "none of its tasks asks where things are: positions show there first"}


def _measure(runs: Runs) -> Measured:
    method, other = runs["method"], runs["renumbered"]
    what = f"{OWN} reducer.positions={other.result['knobs'].get('positions')}"
    asked = {key for key, answer in method.answers.items() if ability(key[0], " ".join(answer.parts)) == ABILITY}
    lines = []
    for name in names(method):
        for on, only in ((name, None), (f"{name}, {ABILITY}", asked.__contains__)):
            found = contrast(method, other, name, only)
            if found is not None:
                lines.append(line(what, found.gap, n=found.n, on=on))
    return Measured(lines, lacking={} if asked else LACKING)


def _judge(lines: Sequence[Line]) -> Judgement:
    if not lines:
        return "open", "nothing was scored"
    lost = [one for one in lines if one.below]
    won = [one for one in lines if one.above]
    other = lines[0].what.removeprefix(f"{OWN} ")
    if lost:
        return "finding", f"{other} is better by {-lost[0].value:.1f} points on {lost[0].on}"
    if won:
        return "sound", f"{other} would cost {won[0].value:.1f} points on {won[0].on}"
    return "sound", f"{other} makes no difference that shows"


CHECK = Check(
    "positions",
    "Positions",
    "another way to number what is left that is better",
    ("renumbered",),
    (),
    _measure,
    _judge,
)

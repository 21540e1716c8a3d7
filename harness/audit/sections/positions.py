"""Position ids: kept, numbered without gaps, or text restarting. Grounding shows what question answering hides."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set

from winnow.harness.audit.card import Check, Judgement, Line, Measured, line
from winnow.harness.audit.contrast import contrast, names
from winnow.harness.audit.measures.abilities import ability
from winnow.harness.audit.runs import Key, Ran, Runs

OWN, ABILITY = "as it is, minus", "grounding"
ROLES = ("renumbered", "restarted")
LACKING = {"grounding": "none of its tasks asks where things are: positions show there first"}


def _measure(runs: Runs) -> Measured:
    method = runs["method"]
    asked = {key for key, answer in method.answers.items() if ability(key[0], " ".join(answer.parts)) == ABILITY}
    others = [runs[role] for role in ROLES if role in runs]
    lines = [one for other in others for one in _against(method, other, asked)]
    return Measured(lines, lacking={} if asked else LACKING)


def _against(method: Ran, other: Ran, asked: Set[Key]) -> Iterator[Line]:
    what = f"{OWN} reducer.positions={other.result['knobs'].get('positions')}"
    for name in names(method):
        for on, only in ((name, None), (f"{name}, {ABILITY}", asked.__contains__)):
            found = contrast(method, other, name, only)
            if found is not None:
                yield line(what, found.gap, n=found.n, on=on)


def _judge(lines: Sequence[Line]) -> Judgement:
    if not lines:
        return "open", "nothing was scored"
    lost = [one for one in lines if one.below]
    won = [one for one in lines if one.above]
    others = list(dict.fromkeys(map(_other, lines)))
    if lost:
        return "finding", f"{_other(lost[0])} is better by {-lost[0].value:.1f} points on {lost[0].on}"
    if won:
        return "sound", f"{_other(won[0])} would cost {won[0].value:.1f} points on {won[0].on}"
    return "sound", f"{' and '.join(others)} make{'s' if len(others) == 1 else ''} no difference that shows"


def _other(one: Line) -> str:
    return one.what.removeprefix(f"{OWN} ")


CHECK = Check(
    "positions",
    "Positions",
    "another way to number what is left that is better",
    (ROLES[0],),
    ROLES[1:],
    _measure,
    _judge,
)

"""Win, tie and loss by ability, and hallucination: no method wins everywhere, and text suffers most (UniPruneBench)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from winnow.harness.audit.card import Check, Judgement, Line, Measured, line
from winnow.harness.audit.contrast import change
from winnow.harness.audit.measures.abilities import HALLUCINATION, abilities
from winnow.harness.audit.runs import Key, Ran, Runs
from winnow.harness.audit.sections.hallucination import by_budget, curves

AGAINST = {"random": "minus random dropping", "unreduced": "minus unreduced"}
LACKING = {HALLUCINATION: "none of its tasks measures it: add tasks=pope, hallusion_bench_image or coco_cap_chair"}


def _measure(runs: Runs) -> Measured:
    method, lines = runs["method"], []
    groups = _groups(method)
    for role, what in AGAINST.items():
        if role in runs:
            lines += [_gap(method, runs[role], what, name, keys) for name, keys in groups.items()]
    lines += by_budget(runs)
    return Measured(lines, [*curves(runs)], {} if HALLUCINATION in groups else LACKING)


def _groups(method: Ran) -> dict[str, list[Key]]:
    """The documents that count, by ability; a document may ask for several."""
    found: dict[str, list[Key]] = defaultdict(list)
    for key, answer in method.answers.items():
        if answer.score is not None:
            for name in abilities(key[0], answer.parts):
                found[name].append(key)
    return dict(sorted(found.items()))


def _gap(method: Ran, other: Ran, what: str, name: str, keys: Sequence[Key]) -> Line:
    pairs = [(a, b) for key in keys if (a := method.answers[key].score) and (b := other.answers[key].score)]
    ours, theirs = ([score.score for score in side] for side in zip(*pairs, strict=True))
    won, lost = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    note = f"{won} won, {len(pairs) - won - lost} tied, {lost} lost"
    return line(what, change(ours, theirs, [a.media for a, _ in pairs]), n=len(pairs), on=name, note=note)


def _judge(lines: Sequence[Line]) -> Judgement:
    gaps = [one for one in lines if one.what == AGAINST["random"]]
    if not gaps:
        return "open", "against random dropping nothing can be said before it ran"
    won, lost = [one.on for one in gaps if one.above], [one.on for one in gaps if one.below]
    says = f"wins {len(won)}, ties {len(gaps) - len(won) - len(lost)}, loses {len(lost)} of {len(gaps)} abilities"
    if lost:
        return "finding", f"{says} against random dropping: loses {', '.join(lost)}"
    if not won:
        return "finding", f"{says} against random dropping"
    return "sound", f"{says} against random dropping: wins {', '.join(won)}"


CHECK = Check(
    "abilities",
    "Abilities",
    "an ability at which random dropping of as many tokens is better, or none at which it is worse",
    ("unreduced",),
    ("random",),
    _measure,
    _judge,
)

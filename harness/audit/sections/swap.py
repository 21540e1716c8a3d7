"""Question swap: tokens that one question chose, when another is asked, in its place or in a second turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from winnow.harness.audit.card import Check, Judgement, Line, Measured, line
from winnow.harness.audit.contrast import contrast, gained, names, share, value
from winnow.harness.audit.measures.sets import jaccard
from winnow.harness.audit.runs import Runs

SETS = "samples of which another question chooses other tokens"
OVERLAP = "Jaccard index of what both questions choose"
OWN, OTHER = "asked about tokens of its own question", "asked about tokens of another document's question"
COST = "what tokens of another question cost"
FIRST, SECOND = "minus unreduced, asked first", "minus unreduced, asked second in the same conversation"
TURN = "what being asked second costs beyond what it costs the unreduced model"


def _measure(runs: Runs) -> Measured:
    return Measured([*_sets(runs), *_answers(runs), *_turns(runs)])


def _sets(runs: Runs) -> Iterator[Line]:
    ours, theirs = runs["method"].kept, runs["asked otherwise"].kept
    keys = [key for key in ours if key in theirs and len(ours[key]) == len(theirs[key])]
    if not keys:
        return
    found = [jaccard(ours[key], theirs[key]) for key in keys]
    media = [runs["method"].answers[key].media for key in keys]
    yield line(SETS, share([float(one < 1) for one in found], media), "%", n=len(keys))
    yield Line(OVERLAP, sum(found) / len(found), n=len(keys))


def _answers(runs: Runs) -> Iterator[Line]:
    if "own tokens" not in runs or "other tokens" not in runs:
        return
    for name in names(runs["method"]):
        for what, role in ((OWN, "own tokens"), (OTHER, "other tokens")):
            found = value(runs[role], name)
            if found is not None:
                yield line(what, found[0], "%", n=found[1], on=name)
        gap = contrast(runs["other tokens"], runs["own tokens"], name)
        if gap is not None:
            note = "the very tokens, without merging and with the positions that they had"
            yield line(COST, gap.gap, n=gap.n, on=name, note=note)


def _turns(runs: Runs) -> Iterator[Line]:
    """The tokens that a first question left, when the own question follows; the unreduced model is asked likewise."""
    if "second turn" not in runs or "second turn unreduced" not in runs:
        return
    first, second = (runs["method"], runs["unreduced"]), (runs["second turn"], runs["second turn unreduced"])
    for name in names(runs["method"]):
        for what, pair in ((FIRST, first), (SECOND, second)):
            found = contrast(*pair, name)
            if found is not None:
                yield line(what, found.gap, n=found.n, on=name)
        beyond = contrast(gained(*second), gained(*first), name)
        if beyond is not None:
            yield line(TURN, beyond.gap, n=beyond.n, on=name, note="a difference of differences, by sample")


def _judge(lines: Sequence[Line]) -> Judgement:
    known = {one.what: one for one in lines}
    if lost := min((one for one in lines if one.what == TURN and one.below), key=lambda one: one.value, default=None):
        return "finding", f"a question that is asked second loses {-lost.value:.1f} points more on {lost.on}"
    if SETS not in known:
        return "open", "what its tokens were is not known"
    if known[SETS].value == 0:
        return "sound", "it does not look at the question: a second one finds the same tokens"
    costs = [one for one in lines if one.what == COST]
    says = f"another question chooses other tokens in {known[SETS].value:.0f} % of the samples"
    if not costs:
        return "open", f"{says}; what that costs, the runs on the very tokens would tell"
    worst = min(costs, key=lambda one: one.value)
    if worst.below:
        return "finding", f"{says}; asked about these, accuracy changes by {worst.value:+.1f} points on {worst.on}"
    return "sound", f"{says}; asked about these, accuracy changes by no more than shows ({worst.value:+.1f} points)"


CHECK = Check(
    "swap",
    "Question swap",
    "accuracy that is lost when the tokens were chosen by another question",
    ("asked otherwise", "unreduced"),
    ("own tokens", "other tokens", "second turn", "second turn unreduced"),
    _measure,
    _judge,
)

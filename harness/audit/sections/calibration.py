"""Calibration: accuracy may be kept while the model no longer knows when it is right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

import numpy as np

from winnow.harness.audit.card import Check, Curve, Judgement, Line, Measured, line
from winnow.harness.audit.measures.calibration import Numbers, aurc, brier, drawn, ece
from winnow.harness.audit.runs import Answer, Runs, at_budgets
from winnow.harness.score.layout import lay_out
from winnow.harness.score.stats import difference

ECE, BRIER, AURC = "ECE", "Brier score", "AURC"
MORE = "minus unreduced"
YES_NO = ("yes", "no")
LACKING = {"probabilities": "these runs are of older code, or decoded with beams: run them again"}


@dataclass(frozen=True)
class Sure:
    """How sure a run was of each answer, whether that was right, and its Brier score."""

    confidence: Numbers
    right: Numbers
    brier: Numbers


def _measure(runs: Runs) -> Measured:
    method, base = runs["method"], runs["unreduced"]
    both = ((key, answer, base.answers.get(key)) for key, answer in method.answers.items())
    keys = [key for key, ours, theirs in both if _known(ours) and theirs is not None and _known(theirs)]
    if not keys:
        return Measured(lacking=LACKING)
    ours, theirs = (_sure([ran.answers[key] for key in keys]) for ran in (method, base))
    layout = lay_out([method.answers[key].media for key in keys])
    found = [*_lines("method", ours), *_lines("unreduced", theirs)]
    found.append(line(f"{BRIER}, {MORE}", difference(ours.brier, theirs.brier, layout), "", n=len(keys)))
    for name, statistic in ((ECE, ece), (AURC, aurc)):
        gap = _gap(ours, theirs, statistic)
        low, high = drawn(gap, layout.cluster)
        found.append(Line(f"{name}, {MORE}", gap(np.arange(len(keys))), "", low, high, len(keys)))
    return _by_budget(runs, found) if len(method.budgets) > 1 else Measured(found)


def _by_budget(runs: Runs, found: list[Line]) -> Measured:
    """Add the same of every budget of the method that was run, with a curve."""
    points = []
    for ran in at_budgets(runs):
        known = [answer for answer in ran.answers.values() if _known(answer)]
        if known:
            sure, cluster = _sure(known), lay_out([answer.media for answer in known]).cluster
            found += _lines(f"at {ran.spent:.1f} % of the visual tokens", sure)
            error = ece(sure.confidence, sure.right)
            points.append((ran.spent, error, *drawn(_ece_of(sure), cluster)))
    return Measured(found, [Curve(ECE, points, "visual tokens, mean over layers (%)", ECE)])


def _ece_of(sure: Sure) -> Callable[..., float]:
    return lambda places: ece(sure.confidence[places], sure.right[places])


def _known(answer: Answer) -> bool:
    return not answer.failed and answer.score is not None and (answer.logprob is not None or bool(answer.options))


def _lines(who: str, sure: Sure) -> Iterator[Line]:
    n = len(sure.right)
    yield Line(f"{ECE}, {who}", ece(sure.confidence, sure.right), n=n)
    yield Line(f"{BRIER}, {who}", float(sure.brier.mean()), n=n)
    yield Line(f"{AURC}, {who}", aurc(sure.confidence, sure.right), n=n)


def _gap(ours: Sure, theirs: Sure, statistic: Callable[[Numbers, Numbers], float]) -> Callable[..., float]:
    return lambda places: (
        statistic(ours.confidence[places], ours.right[places])
        - statistic(theirs.confidence[places], theirs.right[places])
    )


def _sure(answers: Sequence[Answer]) -> Sure:
    rows = [_row(answer) for answer in answers]
    confidence, right, scores = (np.array(column, float) for column in zip(*rows, strict=True))
    return Sure(confidence, right, scores)


def _row(answer: Answer) -> tuple[float, float, float]:
    """Confidence, right or wrong, and Brier score: over the options where there are any, else of right and wrong."""
    names = YES_NO if answer.letter is None else tuple(ascii_uppercase)
    truth = answer.truth if answer.letter is None else answer.truth.upper()
    if len(answer.options) > 1 and truth in names[: len(answer.options)]:
        chances = np.exp(np.array(answer.options) - max(answer.options))
        chances /= chances.sum()
        place = names.index(truth)
        return (
            float(chances.max()),
            float(chances.argmax() == place),
            float(brier([[*map(float, chances)]], [place])[0]),
        )
    sure, right = float(np.exp(answer.logprob or 0.0)), float(answer.score is not None and answer.score.score >= 0.5)
    return sure, right, float(brier([[sure, 1 - sure]], [0 if right else 1])[0])


def _judge(lines: Sequence[Line]) -> Judgement:
    known = {one.what: one for one in lines}
    if not known:
        return "open", "no probabilities were kept with these answers"
    gap = known[f"{ECE}, {MORE}"]
    says = f"ECE {known[f'{ECE}, method'].value:.3f} against {known[f'{ECE}, unreduced'].value:.3f} unreduced"
    if known[f"{BRIER}, {MORE}"].above or (gap.low is not None and gap.low > 0):
        return "finding", f"{says}: less well calibrated ({gap.value:+.3f})"
    return "sound", f"{says}: no worse calibrated"


CHECK = Check(
    "calibration",
    "Calibration",
    "a larger Brier score or calibration error than the unreduced model's",
    ("unreduced",),
    (),
    _measure,
    _judge,
)

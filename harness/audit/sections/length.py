"""Answer length: needed tokens that are gone make some models talk longer, and long answers are cut off."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from winnow.harness.audit.card import Check, Judgement, Line, Measured, line
from winnow.harness.audit.contrast import names, share, value
from winnow.harness.audit.runs import Answer, Key, Ran, Runs, shared
from winnow.harness.score.layout import lay_out
from winnow.harness.score.stats import difference

LONGER, CUT = "longer than the unreduced answer", "cut off at the limit"
PARTS = 3
TENTH = 0.1
"""Of an answer's length: what is no more than that is no finding."""


def _measure(runs: Runs) -> Measured:
    method, base = runs["method"], runs["unreduced"]
    pairs = [*shared(method, base)]
    unit = "tokens" if all(one.new and other.new for one, other in pairs) else "words"
    ours, theirs = ([_length(answer, unit) for answer in side] for side in zip(*pairs, strict=True))
    media = [answer.media for answer, _ in pairs]
    found = difference(ours, theirs, lay_out(media))
    usual = sum(theirs) / len(theirs)
    lines = [line(LONGER, found, unit, n=len(pairs), note=f"{usual:.1f} {unit} unreduced")]
    if unit == "tokens":
        for what, side in (("method", [one for one, _ in pairs]), ("unreduced", [other for _, other in pairs])):
            cut = share([float(answer.cut) for answer in side], media)
            lines.append(line(f"{CUT}, {what}", cut, "%", n=len(pairs)))
    return Measured([*lines, *_by_length(method, base, unit)])


def _length(answer: Answer, unit: str) -> float:
    return float(answer.new if unit == "tokens" else len(answer.text.split()))


def _by_length(method: Ran, base: Ran, unit: str) -> Iterator[Line]:
    """Accuracy of both, by how long the unreduced model's answer is."""
    lengths = {key: _length(answer, unit) for key, answer in base.answers.items() if not answer.failed}
    for low, high in _bins([*lengths.values()]):
        chosen: set[Key] = {key for key, length in lengths.items() if low <= length <= high}
        for name in names(method):
            for what, ran in (("method", method), ("unreduced", base)):
                found = value(ran, name, chosen.__contains__)
                if found is not None:
                    yield line(f"{what}, {low:.0f} to {high:.0f} {unit}", found[0], "%", n=found[1], on=name)


def _bins(lengths: Sequence[float]) -> list[tuple[float, float]]:
    """Up to three parts of about equally many answers; fewer where most are equally long."""
    ordered = np.sort(lengths)
    ends = sorted({float(part[-1]) for part in np.array_split(ordered, PARTS) if len(part)})
    starts = [float(ordered[0]), *(float(ordered[ordered > end].min()) for end in ends[:-1])] if ends else []
    return [*zip(starts, ends, strict=True)]


def _judge(lines: Sequence[Line]) -> Judgement:
    found = lines[0]
    cut = {one.what: one for one in lines if one.what.startswith(CUT)}
    if cut and cut[f"{CUT}, method"].low > cut[f"{CUT}, unreduced"].high:  # type: ignore[operator]
        return "finding", f"{cut[f'{CUT}, method'].value:.0f} % of its answers are cut off at the limit"
    usual = float(found.note.split()[0])
    if found.p is not None and found.p < 0.05 and abs(found.value) > TENTH * usual:
        return "finding", f"answers are {found.value:+.1f} {found.unit} long against the unreduced model's"
    return "sound", f"answers are as long as the unreduced model's ({found.value:+.1f} {found.unit})"


CHECK = Check(
    "length",
    "Length of answers",
    "answers that are a tenth longer or shorter, or cut off more often",
    ("unreduced",),
    (),
    _measure,
    _judge,
)

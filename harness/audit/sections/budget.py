"""The budget really spent, sample by sample, and whether a sample's answer depends on those before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from winnow.harness.audit.card import Check, Judgement, Line, Measured, line
from winnow.harness.audit.contrast import share
from winnow.harness.audit.runs import Ran, Runs

MEAN, LAST = "visual tokens, mean over layers", "visual tokens in the last layer"
SPREAD, MOST = "deviation between samples", "most of any sample"
ASKED = "asked for"
MOVED, CHANGED = (
    "samples that keep other tokens when asked in another order",
    "samples answered otherwise in another order",
)
UNEVEN = 1.5
"""A sample that spends so many times the mean."""


def _measure(runs: Runs) -> Measured:
    method = runs["method"]
    shares = np.array([answer.shares for answer in method.answers.values() if not answer.failed])
    lines = []
    for what, values in ((MEAN, shares[:, 0]), (LAST, shares[:, 1])):
        lines.append(Line(what, 100 * float(values.mean()), "%", n=len(values)))
        lines.append(Line(f"{what}: {SPREAD}", 100 * float(values.std(ddof=1)) if len(values) > 1 else 0.0, "%"))
        lines.append(Line(f"{what}: {MOST}", 100 * float(values.max()), "%"))
    if method.result["ratio"] is not None:
        lines.append(Line(ASKED, 100 * method.result["ratio"], "%", note="the ratio, where the method takes it"))
    if "reordered" in runs:
        lines += _reordered(method, runs["reordered"])
    return Measured(lines)


def _reordered(method: Ran, other: Ran) -> Iterator[Line]:
    keys = [key for key in method.answers if key in other.answers]
    media = [method.answers[key].media for key in keys]
    answers = [(method.answers[key], other.answers[key]) for key in keys]
    ours, theirs = method.kept, other.kept
    moved = [float(a.per_layer != b.per_layer) for a, b in answers]
    moved = [
        float(one or (key in ours and key in theirs and not np.array_equal(ours[key], theirs[key])))
        for one, key in zip(moved, keys, strict=True)
    ]
    yield line(MOVED, share(moved, media), "%", n=len(keys))
    yield line(CHANGED, share([float(a.said != b.said) for a, b in answers], media), "%", n=len(keys))


def _judge(lines: Sequence[Line]) -> Judgement:
    known = {one.what: one for one in lines}
    spent = f"{known[MEAN].value:.1f} % of the visual tokens are spent, at most {known[f'{MEAN}: {MOST}'].value:.1f} %"
    if MOVED in known and known[MOVED].value > 0:
        return "finding", f"{known[MOVED].value:.1f} % of the samples keep other tokens when asked in another order"
    if MOVED in known and known[CHANGED].value > 0:
        says = f"{known[CHANGED].value:.1f} % of the answers change with the order, though the same tokens are kept"
        return "open", f"{says}: batches that are padded otherwise, below float32"
    if known[f"{MEAN}: {MOST}"].value > UNEVEN * known[MEAN].value:
        return "finding", f"{spent}: compare at that budget, or by cost"
    if MOVED not in known:
        return "open", f"{spent}; whether the order of samples matters, its reordered run would tell"
    return "sound", f"{spent}, in whatever order the samples come"


CHECK = Check(
    "budget",
    "Budget really spent",
    "a sample far above the mean, or one that keeps other tokens when the samples come in another order",
    (),
    ("reordered",),
    _measure,
    _judge,
)

"""Whether the method did anything at all, what it answers with, and what this many samples can tell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from winnow.harness.audit.card import Check, Judgement, Line, Measured, line
from winnow.harness.audit.contrast import Contrast, change, contrast, names, share
from winnow.harness.audit.measures.power import detectable, needed, spread
from winnow.harness.audit.measures.sets import by_chance, jaccard
from winnow.harness.audit.runs import Answer, Ran, Runs, shared

ANSWERS = "answers that differ from the unreduced model's"
WHOLE = "samples of which nothing was taken away"
OVERLAP = "Jaccard index with what random dropping kept"
FIXED_SET = "Jaccard index of two samples' kept sets"
SAYS = "more often said than true: "
SHARE, BARS = "answers that say ", 10
"""The histogram of answers, and how many of them it has at most."""
BROKEN, FIXED, SIDE = (
    "broken (right before, wrong now)",
    "fixed (wrong before, right now)",
    "broken of all that changed",
)
EXCESS = 10.0
"""Points by which an answer may be said more often than it is true, or than the unreduced model says it."""
SAME = 0.999
PAIRS = 500
"""Neighbouring samples whose kept sets are compared."""
DIFFERENT = 40
"""Answers that are still counted one by one; above, they are free text."""


def _measure(runs: Runs) -> Measured:
    method, base = runs["method"], runs["unreduced"]
    lines = [*_acted(method, base), *_overlap(method, runs.get("random")), *_said(method, base)]
    for name in names(method):
        found = contrast(method, base, name)
        if found is not None:
            lines += _power(name, found)
    return Measured(lines)


def _acted(method: Ran, base: Ran) -> Iterator[Line]:
    pairs = [*shared(method, base)]
    media = [one.media for one, _ in pairs]
    yield line(ANSWERS, share([float(a.said != b.said) for a, b in pairs], media), "%", n=len(pairs))
    whole = [float(min(one.per_layer, default=one.visual) >= one.visual) for one, _ in pairs]
    yield line(WHOLE, share(whole, media), "%", n=len(pairs))


def _overlap(method: Ran, random: Ran | None) -> Iterator[Line]:
    """What was kept, against another choice of as many, and against what was kept of the next sample."""
    ours = method.kept
    theirs = random.kept if random else {}
    pairs = [(mine, theirs[key]) for key, mine in ours.items() if key in theirs and len(theirs[key]) == len(mine)]
    if pairs:
        chance = [by_chance(len(a), int(a.sum()), int(b.sum())) for a, b in pairs]
        mean = sum(jaccard(a, b) for a, b in pairs) / len(pairs)
        note = f"{sum(chance) / len(chance):.2f} by chance"
        yield Line(OVERLAP, mean, n=len(pairs), note=note)
    sets = [kept for kept in ours.values() if 0 < kept.sum() < len(kept)]
    nexts = [(a, b) for a, b in pairwise(sets) if len(a) == len(b)][:PAIRS]
    if nexts:
        chance = [by_chance(len(a), int(a.sum()), int(b.sum())) for a, b in nexts]
        mean = sum(jaccard(a, b) for a, b in nexts) / len(nexts)
        yield Line(FIXED_SET, mean, n=len(nexts), note=f"{sum(chance) / len(chance):.2f} by chance; 1: never looks")


def _said(method: Ran, base: Ran) -> Iterator[Line]:
    """The histogram of answers; the one said too often, against how often it is true, and the unreduced model."""
    pairs = [(a, b) for a, b in shared(method, base) if a.truth]
    counts = Counter(answer.said for answer, _ in pairs)
    if not pairs or len(counts) > DIFFERENT:
        return
    true = Counter(answer.truth for answer, _ in pairs)
    yield from _histogram(pairs, counts, true)
    most = max(counts, key=lambda said: counts[said] - true[said])
    media = [answer.media for answer, _ in pairs]
    ours = [float(answer.said == most) for answer, _ in pairs]
    note = f"said in {_percent(counts[most], pairs)}, true in {_percent(true[most], pairs)}"
    against = {"the truth": [float(a.truth == most) for a, _ in pairs]}
    against["the unreduced model"] = [float(b.said == most) for _, b in pairs]
    for whose, theirs in against.items():
        yield line(f"{SAYS}'{most}'", change(ours, theirs, media), n=len(pairs), on=f"against {whose}", note=note)


def _histogram(pairs: Sequence[tuple[Answer, Answer]], said: Counter[str], true: Counter[str]) -> Iterator[Line]:
    """How often each answer is said, is true, and is said by the unreduced model."""
    base, media = Counter(other.said for _, other in pairs), [answer.media for answer, _ in pairs]
    for name in sorted(name for name, _ in (said + true + base).most_common(BARS)):
        note = f"true in {_percent(true[name], pairs)}, said by the unreduced model in {_percent(base[name], pairs)}"
        found = share([float(answer.said == name) for answer, _ in pairs], media)
        yield line(f"{SHARE}'{name}'", found, "%", n=len(pairs), note=note)


def _percent(count: int, of: Sequence[tuple[Answer, Answer]]) -> str:
    return f"{100 * count / len(of):.0f} %"


def _power(name: str, found: Contrast) -> Iterator[Line]:
    """What changed sides, and how small a difference this could have shown."""
    down, up = sum(gap < 0 for gap in found.gaps), sum(gap > 0 for gap in found.gaps)
    yield Line(BROKEN, down, n=found.n, on=name)
    yield Line(FIXED, up, n=found.n, on=name)
    if down + up:
        yield line(SIDE, share([float(place < down) for place in range(down + up)], [""] * (down + up)), "%", on=name)
    if not found.layout.plain or any(gap not in (-1, 0, 1) for gap in found.gaps):
        return
    import numpy as np

    effective = found.n / found.layout.design_effect(np.asarray(found.gaps, float))
    deviation = spread((up + 1) / (found.n + 2), (down + 1) / (found.n + 2))  # as Bonett and Price, never nothing
    yield Line("smallest difference that shows (80 %)", 100 * detectable(deviation, effective), "points", on=name)
    questions = needed(deviation, 0.01) * found.n / effective
    yield Line("questions for 1 point (80 %)", round(questions), n=found.n, on=name)


def _judge(lines: Sequence[Line]) -> Judgement:
    known = {one.what: one for one in lines}
    if known[WHOLE].value == 100:
        return "finding", "it takes no visual token away: a no-op"
    letters = [one for one in lines if one.what.startswith(SAYS)]
    if letters and all(one.above and one.value > EXCESS for one in letters):
        return "finding", f"it answers {letters[0].what.removeprefix(SAYS)} too often: {letters[0].note}"
    if OVERLAP in known and known[OVERLAP].value > SAME:
        return "finding", "it keeps the very tokens that random dropping keeps"
    if FIXED_SET in known and known[FIXED_SET].value > SAME:
        return "finding", "it keeps the same places of every input: it does not look at what is there"
    if known[ANSWERS].value == 0:
        return "open", "tokens went and no answer changed: these questions cannot tell methods apart here"
    return "sound", f"{known[ANSWERS].value:.1f} % of the answers differ from the unreduced model's"


CHECK = Check(
    "gate",
    "Did it do anything?",
    "no token removed, no answer changed, the set that random dropping keeps, or one answer given far too often",
    ("unreduced",),
    ("random",),
    _measure,
    _judge,
)

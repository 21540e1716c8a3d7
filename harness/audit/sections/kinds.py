"""What kind of tokens a method keeps: high-norm sinks, which say little of the picture, and how much alike they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from winnow.harness.audit.card import Line, line
from winnow.harness.audit.contrast import change, share
from winnow.harness.audit.runs import Answer, Key, Ran, Runs
from winnow.harness.score.layout import lay_out
from winnow.harness.score.stats import difference, figure

SINKS, EXCESS = "high-norm tokens (sinks) among the kept", "sinks among the kept, minus their share of all tokens"
RANK, WIDER = "effective rank of what is kept", "effective rank of what is kept, minus random dropping's"
CONTROLS = {"method": "method", "random": "random dropping"}
ALL, MOSTLY = "all tokens", 50.0


def lines(runs: Runs) -> Iterator[Line]:
    """Shares of sinks, and effective ranks, of the method and of random dropping; the unreduced run tells the sinks."""
    if "unreduced" in runs:
        yield from _sinks(runs, runs["unreduced"])
    for role, on in CONTROLS.items():
        known = [answer for answer in runs[role].answers.values() if answer.rank is not None] if role in runs else []
        if known:
            found = figure([answer.rank or 0.0 for answer in known], lay_out([answer.media for answer in known]))
            yield line(RANK, found, "", n=len(known), on=on)
    if "random" in runs:
        yield from _wider(runs["method"], runs["random"])


def _sinks(runs: Runs, base: Ran) -> Iterator[Line]:
    ours = runs["method"].kept
    known = {key: one for key, one in base.answers.items() if one.rank is not None and key in ours}
    keys = [key for key, one in known.items() if ours[key].any() and one.visual == len(ours[key])]
    if not any(known[key].sinks for key in keys):
        return
    media = [known[key].media for key in keys]
    found = {on: [_share(runs[role], known[key], key) for key in keys] for role, on in CONTROLS.items() if role in runs}
    found[ALL] = [len(known[key].sinks) / known[key].visual for key in keys]
    for on, values in found.items():
        yield line(SINKS, share(values, media), "%", n=len(keys), on=on)
    yield line(EXCESS, change(found["method"], found[ALL], media), n=len(keys))


def _share(ran: Ran, base: Answer, key: Key) -> float:
    """Share of sinks among the tokens that a run kept of a document."""
    kept = ran.kept.get(key)
    if kept is None or len(kept) != base.visual:
        return 0.0
    return float(kept[[*base.sinks]].sum() / max(1, kept.sum()))


def _wider(method: Ran, random: Ran) -> Iterator[Line]:
    pairs = [(one, random.answers.get(key)) for key, one in method.answers.items()]
    both = [(a.rank, b.rank, a.media) for a, b in pairs if b and a.rank is not None and b.rank is not None]
    if both:
        ours, theirs, media = zip(*both, strict=True)
        yield line(WIDER, difference(ours, theirs, lay_out(media)), "", n=len(both))


def mostly_sinks(found: Sequence[Line]) -> str:
    """Say so if more of what is kept are sinks than not, and more than of all tokens."""
    known = {(one.what, one.on): one for one in found}
    own, every = known.get((SINKS, "method")), known.get((SINKS, ALL))
    excess = known.get((EXCESS, ""))
    if own is None or every is None or excess is None or not excess.above or own.value <= MOSTLY:
        return ""
    return f"{own.value:.0f} % of what it keeps are sinks, tokens of high norm ({every.value:.0f} % of all tokens are)"

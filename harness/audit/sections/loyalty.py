"""Agreement with the unreduced model's answers, right or wrong: accuracy can hide that answers changed."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.harness.audit.card import Check, Judgement, Line, Measured, line
from winnow.harness.audit.contrast import change, share
from winnow.harness.audit.measures.agreement import kappa
from winnow.harness.audit.runs import Answer, Runs, shared

AGREE, BEYOND, MORE = "same answer", "agreement beyond chance (kappa)", "same answer, minus random dropping's"
RIGHT, WRONG = "same answer where the unreduced model is right", "same answer where it is wrong"


def _measure(runs: Runs) -> Measured:
    pairs = [*shared(runs["method"], runs["unreduced"])]
    lines = [_share(AGREE, pairs)]
    for what, wanted in ((RIGHT, True), (WRONG, False)):
        part = [(a, b) for a, b in pairs if b.score and (b.score.score >= 0.5) == wanted]
        lines += [_share(what, part)] if part else []
    chance = kappa([a.said for a, _ in pairs], [b.said for _, b in pairs])
    lines += [Line(BEYOND, chance, n=len(pairs))] if chance is not None else []
    if "random" in runs:
        lines += _against(runs)
    return Measured(lines)


def _share(what: str, pairs: Sequence[tuple[Answer, Answer]]) -> Line:
    found = share([float(a.said == b.said) for a, b in pairs], [a.media for a, _ in pairs])
    return line(what, found, "%", n=len(pairs))


def _against(runs: Runs) -> list[Line]:
    """How much more loyal it is than random dropping of as many tokens."""
    base, random, method = (runs[role].answers for role in ("unreduced", "random", "method"))
    keys = [key for key, answer in method.items() if key in base and key in random and not answer.failed]
    ours = [float(method[key].said == base[key].said) for key in keys]
    theirs = [float(random[key].said == base[key].said) for key in keys]
    return [line(MORE, change(ours, theirs, [method[key].media for key in keys]), n=len(keys))] if keys else []


def _judge(lines: Sequence[Line]) -> Judgement:
    known = {one.what: one for one in lines}
    says = f"{known[AGREE].value:.1f} % of the answers are the unreduced model's"
    if MORE not in known:
        return "open", f"{says}; how many are without any choice, random dropping would tell"
    if not known[MORE].above:
        return "finding", f"{says}: no more than with random dropping ({known[MORE].value:+.1f} points)"
    return "sound", f"{says}, {known[MORE].value:+.1f} points against random dropping"


CHECK = Check(
    "loyalty",
    "Loyalty",
    "no more of the unreduced model's answers than random dropping of as many tokens leaves",
    ("unreduced",),
    ("random",),
    _measure,
    _judge,
)

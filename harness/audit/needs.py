"""The runs that a card needs, each a role with the overrides that make it: the card's manifest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from winnow.harness.audit.runs import Ran, Runs
from winnow.harness.config.cell import Cell
from winnow.harness.config.compose import CUSTOM, depth_of
from winnow.harness.config.declared import declared
from winnow.harness.plan.family import family_facts

COMMON = ("keep", "compact")
"""Ways to number that anybody's own class is asked for, whose annotations are not read."""
OWN = ("reducer", "ratio", "schedule", "budget", "downsample")
"""Groups and keys that say what the method does; all others are the context that every run of a card shares."""


class Role(NamedTuple):
    """A run that a card needs: its overrides, or why there can be none."""

    words: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class Subject:
    """The method that a card is about.

    Attributes
    ----------
    words : tuple of str
        Its overrides, one value each.
    cell : Cell
    """

    words: tuple[str, ...]
    cell: Cell

    @property
    def around(self) -> tuple[str, ...]:
        """The overrides that are not the method's."""
        return tuple(word for word in self.words if not _key(word).startswith(OWN))


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


Needed = Callable[[Subject, Runs], Role]
"""From a method, and what of its roles is finished, to what another role is."""
WAITS = Role(why="the method's own run comes first: the same command again goes on")
QUARTERS = {"at the entrance": 0.0, "after a quarter": 0.25, "after half": 0.5, "after three quarters": 0.75}
"""Where tokens go, as a share of the LLM's layers."""


def _alone(*words: str) -> Needed:
    """A run that depends on the context alone."""
    return lambda subject, runs: Role((*subject.around, *words))


def _like(control: str, role: str = "method") -> Needed:
    """A run that keeps as many tokens as a role's, or the very same, sample by sample and layer by layer."""

    def needed(subject: Subject, runs: Runs) -> Role:
        if role not in runs:
            return WAITS
        return Role((*subject.around, f"reducer={control}", f"reducer.like={runs[role].result['id']}"))

    return needed


def _stressed(word: str) -> Needed:
    """The method itself, on the same input in a way that it should not mind."""
    return lambda subject, runs: Role((*subject.words, word))


def _jittered(subject: Subject, runs: Runs) -> Role:
    """The same, with other frames of the videos, where there are any."""
    if "method" in runs and all(answer.frames == 1 for answer in runs["method"].answers.values()):
        return Role(why="these tasks show no videos")
    return Role((*subject.words, "stress.media=jitter"))


def _numbered(policy: str | None) -> Needed:
    """The method with another way to number what it leaves; None: without gaps or as before, whichever it has not."""

    def needed(subject: Subject, runs: Runs) -> Role:
        method, model = subject.cell.method, subject.cell.model
        own = method.args.get("positions")
        other = policy or ("compact" if own == "keep" else "keep")
        ways = COMMON if method.name == CUSTOM else declared(method.target).positions if method.target else ()
        if own is None or other not in ways:
            return Role(why=f"reducer={method.name} has no option reducer.positions={other}")
        if own == other:
            return Role(why=f"positions={own} is its own way")
        if other != "keep" and family_facts(model.family).mrope:
            undefined = f"positions={other} is undefined"
            return Role(why=f"model={model.name} numbers tokens in three dimensions, where {undefined}")
        words = (word for word in subject.words if _key(word) != "reducer.positions")
        return Role((*words, f"reducer.positions={other}"))

    return needed


def _last(ran: Ran) -> float:
    """The mean share of visual tokens that the last layer sees."""
    shares = [answer.shares[1] for answer in ran.answers.values() if not answer.failed]
    return sum(shares) / max(1, len(shares))


def _random_at(share: float) -> Needed:
    """As many tokens as the method leaves, drawn at random at some layer."""

    def needed(subject: Subject, runs: Runs) -> Role:
        if "method" not in runs:
            return WAITS
        left = _last(runs["method"])
        if not 0 < left < 1:
            return Role(why="the method leaves every token or none")
        return Role((*subject.around, "reducer=random", f"ratio={left:.4g}", *_at(subject, share)))

    return needed


def _choice_at(share: float) -> Needed:
    """The method moved to some layer, where it acts at one; else the method, and half of what it left gone after it."""

    def needed(subject: Subject, runs: Runs) -> Role:
        method = subject.cell.method
        if (method.schedule or {}).get("kind") == "k":
            words = (word for word in subject.words if not _key(word).startswith("schedule"))
            return Role((*words, *_at(subject, share))) if share else Role(why="it ranks by what a layer tells")
        return _then(subject, share)

    return needed


def _then(subject: Subject, share: float) -> Role:
    method = subject.cell.method
    if method.schedule is not None or method.parts or not share or method.ratio is None:
        return Role(why="only a method at one layer, or before the LLM, is moved or followed by random dropping")
    own = [f"reducer.entrance.{name}={value}" for name, value in method.args.items() if value is not None]
    entrance = (f"reducer.entrance.name={method.name}", f"reducer.entrance.ratio={method.ratio:g}", *own)
    (layer,) = (word.partition("=")[2] for word in _at(subject, share) if word.startswith("schedule.k="))
    random = ("reducer.llm.name=random", "reducer.llm.ratio=0.5", f"reducer.llm.schedule.k={layer}")
    return Role((*subject.around, "reducer=compose", *entrance, *random))


def _at(subject: Subject, share: float) -> tuple[str, ...]:
    depth = depth_of(subject.cell.model) or 0
    layer = round(share * depth)
    return ("schedule=k", f"schedule.k={layer}") if layer else ("schedule=none",)


def _pooling(subject: Subject, runs: Runs) -> Role:
    """Neighbours averaged where the method first takes tokens away, to about as many as it leaves."""
    if "method" not in runs:
        return WAITS
    layer, left = _first(runs["method"]), _last(runs["method"])
    if layer is None or left <= 0:
        return Role(why="the method leaves every token or none, as no pooling does")
    halvings = max(1, round(-math.log2(left)))
    where = ("schedule=none",) if layer == 0 else ("schedule=k", f"schedule.k={layer}")
    return Role((*subject.around, "reducer=average", f"ratio={0.5**halvings:g}", *where))


def _first(ran: Ran) -> int | None:
    """The first layer at which a sample has lost tokens."""
    return min((layer for answer in ran.answers.values() if (layer := answer.first) is not None), default=None)


def _downsample(subject: Subject, runs: Runs) -> Role:
    """Fewer frames of a video, or fewer pixels, to about as many tokens as the method spends over all layers."""
    if "method" not in runs:
        return WAITS
    answered = [answer for answer in runs["method"].answers.values() if not answer.failed]
    share = sum(answer.shares[0] for answer in answered) / max(1, len(answered))
    model = subject.cell.model
    if any(answer.frames > 1 for answer in answered) and not family_facts(model.family).fixed_frames:
        both = (model.frames, model.nominal.frames)
        factors = [f for f in range(2, model.frames + 1) if not any(number % f for number in both)]
        key = "downsample.frames"
    elif family_facts(model.family).any_size:
        factors, key = [*range(2, 17)], "downsample.pixels"
        if budgets := family_facts(model.family).budgets:  # the others are none that the model was trained with
            now = model.nominal.tokens_per_frame
            factors = [now // budget for budget in budgets if budget < now]
    else:
        return Role(why=f"pictures are as many tokens to model={model.name} whatever their size: use tasks of videos")
    if not factors:
        what = key.removeprefix("downsample.")
        return Role(why=f"{what} of model={model.name} cannot be divided")
    factor = min(factors, key=lambda factor: abs(1 / factor - share))
    return Role((*subject.around, "reducer=none", f"{key}={factor}"))


ROLES: dict[str, Needed] = {
    "method": lambda subject, runs: Role(subject.words),
    "unreduced": _alone("reducer=none"),
    "blind": _alone("reducer=blind"),
    "random": _like("random"),
    "uniform": _like("uniform"),
    "pooling": _pooling,
    "downsample": _downsample,
    "reordered": _stressed("stress.order=1"),
    "renumbered": _numbered(None),
    "restarted": _numbered("restart"),
    "reencoded": _stressed("stress.media=reencode"),
    "shifted": _stressed("stress.media=shift"),
    "jittered": _jittered,
    "asked otherwise": _stressed("stress.question=other"),
    "second turn": _stressed("stress.question=second"),
    "second turn unreduced": _alone("reducer=none", "stress.question=second"),
    "own tokens": _like("same"),
    "other tokens": _like("same", "asked otherwise"),
    **{f"random {where}": _random_at(share) for where, share in QUARTERS.items()},
    **{f"choice {where}": _choice_at(share) for where, share in QUARTERS.items()},
}


def needed(subject: Subject, roles: Sequence[str], runs: Runs) -> Iterator[tuple[str, Role]]:
    """What a card needs of these roles, given those that are finished."""
    for name in roles:
        yield name, ROLES[name](subject, runs)

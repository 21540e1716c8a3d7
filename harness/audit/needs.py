"""The runs that a card needs, each a role with the overrides that make it: the card's manifest."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from winnow.harness.audit.runs import Ran
from winnow.harness.config.cell import Cell
from winnow.harness.plan.family import family_facts

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
    ran : Ran or None
        Its own run, once that is finished: some roles repeat what it did.
    """

    words: tuple[str, ...]
    cell: Cell
    ran: Ran | None = None

    @property
    def around(self) -> tuple[str, ...]:
        """The overrides that are not the method's."""
        return tuple(word for word in self.words if not _key(word).startswith(OWN))


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


Needed = Callable[[Subject], Role]
WAITS = Role(why="the method's own run comes first: the same command again goes on")


def _alone(*words: str) -> Needed:
    """A run that depends on the context alone."""
    return lambda subject: Role((*subject.around, *words))


def _like(*words: str) -> Needed:
    """A run that keeps as many tokens as the method's, sample by sample and layer by layer."""

    def needed(subject: Subject) -> Role:
        if subject.ran is None:
            return WAITS
        return Role((*subject.around, *words, f"reducer.like={subject.ran.result['id']}"))

    return needed


def _stressed(*words: str) -> Needed:
    """The method itself, on the same input in a way that it should not mind."""
    return lambda subject: Role((*subject.words, *words))


def _pooling(subject: Subject) -> Role:
    """Neighbours averaged where the method first takes tokens away, to about as many as it leaves."""
    if subject.ran is None:
        return WAITS
    shares = [count / answer.visual for answer in subject.ran.answers.values() for count in answer.per_layer[-1:]]
    last = sum(shares) / max(1, len(shares))
    layer = _first(subject.ran)
    if layer is None or last <= 0:
        return Role(why="the method leaves every token or none, as no pooling does")
    halvings = max(1, round(-math.log2(last)))
    where = ("schedule=none",) if layer == 0 else ("schedule=k", f"schedule.k={layer}")
    return Role((*subject.around, "reducer=average", f"ratio={0.5**halvings:g}", *where))


def _first(ran: Ran) -> int | None:
    """The first layer at which a sample has lost tokens."""
    lost = (
        next((layer for layer, count in enumerate(answer.per_layer) if count < answer.visual), None)
        for answer in ran.answers.values()
    )
    return min((layer for layer in lost if layer is not None), default=None)


def _downsample(subject: Subject) -> Role:
    """Fewer frames of a video, or fewer pixels, to about as many tokens as the method spends over all layers."""
    if subject.ran is None:
        return WAITS
    answered = [answer for answer in subject.ran.answers.values() if not answer.failed]
    share = sum(answer.shares[0] for answer in answered) / max(1, len(answered))
    model = subject.cell.model
    if any(answer.frames > 1 for answer in answered) and not family_facts(model.family).fixed_frames:
        both = (model.frames, model.nominal.frames)
        factors = [f for f in range(2, model.frames + 1) if not any(number % f for number in both)]
        key = "downsample.frames"
    elif family_facts(model.family).any_size:
        factors, key = [*range(2, 17)], "downsample.pixels"
    else:
        return Role(why=f"pictures are as many tokens to model={model.name} whatever their size: use tasks of videos")
    if not factors:
        return Role(why=f"model.frames={model.frames} cannot be divided")
    factor = min(factors, key=lambda factor: abs(1 / factor - share))
    return Role((*subject.around, "reducer=none", f"{key}={factor}"))


ROLES: dict[str, Needed] = {
    "method": lambda subject: Role(subject.words),
    "unreduced": _alone("reducer=none"),
    "blind": _alone("reducer=blind"),
    "random": _like("reducer=random"),
    "uniform": _like("reducer=uniform"),
    "pooling": _pooling,
    "downsample": _downsample,
    "reordered": _stressed("stress.order=1"),
}


def needed(subject: Subject, roles: Sequence[str]) -> Iterator[tuple[str, Role]]:
    """What a card needs of these roles."""
    for name in roles:
        yield name, ROLES[name](subject)

"""What a card holds: sections of figures, each with a verdict in one line and what would falsify it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from winnow.harness.score.stats import Figure, holm

if TYPE_CHECKING:
    from winnow.harness.audit.runs import Runs

State = Literal["sound", "finding", "open", "missing"]
"""Nothing against the method; something that a reader must know; no verdict at this size; runs are lacking."""
LEVEL = 0.05


@dataclass(frozen=True)
class Line:
    """One figure.

    Attributes
    ----------
    what : str
        What was measured.
    value : float
    unit : str
        ``%``, ``points``, ``x``, or empty for plain numbers.
    low, high : float or None
        The 95 % interval, where there is one.
    n : int or None
        Samples behind it.
    p : float or None
        Of "there is no difference", adjusted over all of the card (Holm) once the card is made.
    on : str
        The benchmark or the part of one that it is of.
    note : str
    """

    what: str
    value: float
    unit: str = ""
    low: float | None = None
    high: float | None = None
    n: int | None = None
    p: float | None = None
    on: str = ""
    note: str = ""

    @property
    def above(self) -> bool:
        """Whether it is more than nothing, at the level of the card."""
        return self.value > 0 and self.p is not None and self.p < LEVEL

    @property
    def below(self) -> bool:
        """Whether it is less than nothing, at the level of the card."""
        return self.value < 0 and self.p is not None and self.p < LEVEL


@dataclass(frozen=True)
class Curve:
    """Points of a plot: where, value, low and high."""

    name: str
    points: Sequence[tuple[float, float, float, float]]
    x: str = ""
    y: str = ""


@dataclass(frozen=True)
class Measured:
    """Figures and curves of a section; `lacking` says what could not be measured, and what would mend it."""

    lines: list[Line] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    lacking: Mapping[str, str] = field(default_factory=dict)


Judgement = tuple[State, str]


@dataclass(frozen=True)
class Check:
    """A section before there are runs.

    Attributes
    ----------
    name, title : str
    falsified : str
        What would falsify its verdict.
    needs : tuple of str
        Roles of `winnow.harness.audit.needs` without which there is nothing to say, beside the method's own run.
    wants : tuple of str
        Roles that add to it.
    measure : callable
        From runs to figures; pure.
    judge : callable
        From these figures, their p values adjusted over the card, to a state and the verdict.
    """

    name: str
    title: str
    falsified: str
    needs: tuple[str, ...]
    wants: tuple[str, ...]
    measure: Callable[[Runs], Measured]
    judge: Callable[[Sequence[Line]], Judgement]


@dataclass(frozen=True)
class Section:
    """A section as it is shown; `missing` holds what is lacking, and the command that makes it or why it cannot be."""

    name: str
    title: str
    state: State
    verdict: str
    falsified: str
    lines: Sequence[Line] = ()
    curves: Sequence[Curve] = ()
    missing: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Card:
    """The card of one method at one budget."""

    method: str
    about: str
    sections: Sequence[Section]


def adjusted(measured: Mapping[str, Measured]) -> dict[str, Measured]:
    """Adjust the p values of all sections together for having looked at all of them."""
    lines = [line for found in measured.values() for line in found.lines if line.p is not None]
    left = iter(holm([line.p for line in lines if line.p is not None]))
    return {
        name: replace(found, lines=[line if line.p is None else replace(line, p=next(left)) for line in found.lines])
        for name, found in measured.items()
    }


def line(what: str, found: Figure, unit: str = "points", **more: object) -> Line:
    """A figure of `winnow.harness.score.stats` as a line, with its p value if it is a difference."""
    known = {"p": p} if (p := getattr(found, "p", None)) is not None else {}
    return Line(what, found.mean, unit, found.low, found.high, **known | more)

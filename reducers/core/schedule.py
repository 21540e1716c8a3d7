"""At which LLM layers a method acts. Layers count from 0; to act at layer k means that layers 0..k-1 saw everything."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Self

from winnow.reducers.core.errors import WinnowError


@dataclass(frozen=True)
class Schedule:
    """Base of the schedules.

    Every layer number follows one rule for models of another depth: with ``of=None`` it is absolute, with ``of=N`` it
    was given for N layers and is scaled by the share of the depth (at least 1); a negative number counts from the end.
    """

    _layers: ClassVar[tuple[str, ...]] = ()
    _open: ClassVar[tuple[str, ...]] = ()

    @property
    def acts(self) -> tuple[int, ...]:
        """Layers at whose input a method acts that ranks once and keeps a share (resolved numbers only).

        Raises
        ------
        WinnowError
            For schedules that say something else.
        """
        kind = type(self).__name__.lower()
        raise WinnowError(f"a schedule of kind '{kind}' does not say at which layers to act: choose k or cuts")

    def resolve(self, depth: int) -> Self:
        """The same schedule with absolute layer numbers for an LLM of `depth` layers.

        Raises
        ------
        WinnowError
            If a number lies outside ``1..depth``.
        """
        numbers: dict[str, Any] = {name: self._resolve(name, getattr(self, name), depth) for name in self._layers}
        return replace(self, **numbers | {"of": None})

    def _resolve(self, name: str, value: int, depth: int) -> int:
        of: int | None = getattr(self, "of", None)
        layer = depth + value if value < 0 else value if of is None else max(1, round(value * depth / of))
        last = depth + (name in self._open)
        if not 1 <= layer <= last:
            raise WinnowError(f"schedule.{name}={value} lies beyond the LLM's {depth} layers: choose 1..{last}")
        return layer

    def describe(self) -> str:
        """The numbers as they are printed, e.g. ``k=2``."""
        return " ".join(f"{f.name}={getattr(self, f.name)}" for f in fields(self) if f.name != "of")


@dataclass(frozen=True)
class K(Schedule):
    """Act once, at the input of layer `k`."""

    k: int
    of: int | None = None
    _layers: ClassVar[tuple[str, ...]] = ("k",)

    @property
    def acts(self) -> tuple[int, ...]:
        """See `Schedule.acts`."""
        return (self.k,)


@dataclass(frozen=True)
class Window(Schedule):
    """Act from layer `l1` on and have nothing left from layer `l2` on, which may lie one beyond the last layer."""

    l1: int
    l2: int
    of: int | None = None
    _layers: ClassVar[tuple[str, ...]] = ("l1", "l2")
    _open: ClassVar[tuple[str, ...]] = ("l2",)


@dataclass(frozen=True)
class Rounds(Schedule):
    """Act repeatedly between the inputs of layers `start` and `end`, at least every `interval` layers."""

    start: int
    end: int
    interval: int
    of: int | None = None
    _layers: ClassVar[tuple[str, ...]] = ("start", "end")

    def __post_init__(self) -> None:
        """Refuse an interval that never comes."""
        if self.interval < 1:
            raise WinnowError(f"schedule.interval={self.interval} is not allowed: choose 1 or more layers")

    def forced(self) -> range:
        """Layers at which a round is due at the latest, if no earlier one happened (resolved numbers only)."""
        return range(self.start, self.end + 1, self.interval)


@dataclass(frozen=True)
class Cuts(Schedule):
    """Act at the input of each of the layers in `cuts`."""

    cuts: tuple[int, ...]
    of: int | None = None

    @property
    def acts(self) -> tuple[int, ...]:
        """See `Schedule.acts`."""
        return self.cuts

    def resolve(self, depth: int) -> Self:
        """See `Schedule.resolve`."""
        layers = tuple(self._resolve(f"cuts[{i}]", cut, depth) for i, cut in enumerate(self.cuts))
        if list(layers) != sorted(set(layers)):
            scaled = "" if self.of is None else f" of {self.of} layers are {list(layers)} of {depth}, which"
            hint = "" if self.of is None else "; schedule.of=null takes them as they are"
            raise WinnowError(f"schedule.cuts={list(self.cuts)}{scaled} must rise from layer to layer{hint}")
        return replace(self, cuts=layers, of=None)


@dataclass(frozen=True)
class First(Schedule):
    """Act inside each of the first `layers` layers."""

    layers: int
    of: int | None = None
    _layers: ClassVar[tuple[str, ...]] = ("layers",)


SCHEDULES: dict[str, type[Schedule]] = {"k": K, "window": Window, "rounds": Rounds, "cuts": Cuts, "first": First}

"""Where a method may act: one type for every place between the pixels and the LLM's last layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from winnow.reducers.core.tower import Tower

Kind = Literal["pixels", "tower", "features", "entrance", "layer", "inside", "decode"]


@dataclass(frozen=True)
class Site:
    """One place in one model; made by `pixels`, `tower`, `features`, `entrance`, `layer`, `inside` or `decode`.

    A further kind of place is a further constructor, and whoever walks the sites of a model (`tower_sites`,
    `llm_sites`, the engine's hooks) learns of it; methods that do not act there need not know.

    Parameters
    ----------
    kind : {"pixels", "tower", "features", "entrance", "layer", "inside", "decode"}
        What kind of place.
    number : int
        The vision block or the LLM layer, counted from 0; `Tower.used` at the features.
    within : Tower or int
        What it lies in: the vision tower, or an LLM of so many layers.
    """

    kind: Kind
    number: int
    within: Tower | int

    @classmethod
    def pixels(cls, depth: int) -> Self:
        """In front of the vision tower, which then runs on the patches that are left."""
        return cls("pixels", 0, depth)

    @classmethod
    def tower(cls, block: int, tower: Tower) -> Self:
        """Inside a vision block, between its attention and its MLP."""
        return cls("tower", block, tower)

    @classmethod
    def features(cls, tower: Tower) -> Self:
        """Behind the vision tower, before the projector."""
        return cls("features", tower.used, tower)

    @classmethod
    def entrance(cls, depth: int) -> Self:
        """The input of the LLM's layer 0."""
        return cls("entrance", 0, depth)

    @classmethod
    def layer(cls, number: int, depth: int) -> Self:
        """The input of an LLM layer: layers ``0 .. number - 1`` saw everything. That of layer 0 is the entrance."""
        return cls("layer", number, depth) if number else cls.entrance(depth)

    @classmethod
    def inside(cls, number: int, depth: int) -> Self:
        """Inside an LLM layer, between its attention and its MLP."""
        return cls("inside", number, depth)

    @classmethod
    def decode(cls, number: int, depth: int) -> Self:
        """At each step of decoding, in front of an LLM layer: which of the prompt's keys it and later ones read."""
        return cls("decode", number, depth)

    @property
    def in_tower(self) -> bool:
        """Whether it is asked frame by frame in the tower, by a `TowerView`."""
        return isinstance(self.within, Tower)

    @property
    def vision(self) -> Tower:
        """The vision tower in which it lies."""
        if not isinstance(self.within, Tower):
            raise TypeError(f"{self} lies in the LLM")
        return self.within

    @property
    def depth(self) -> int:
        """Layers of the LLM in which it lies."""
        if isinstance(self.within, Tower):
            raise TypeError(f"{self} lies in the vision tower")
        return self.within

    @property
    def first_without(self) -> int:
        """The first LLM layer whose attention and KV cache miss what is dropped here."""
        if self.kind == "decode":
            return self.depth
        return self.number + (self.kind == "inside") if not self.in_tower else 0

    def __str__(self) -> str:
        """As the design writes it: ``layer(2)``, ``entrance``."""
        return self.kind if self.kind in ("pixels", "features", "entrance") else f"{self.kind}({self.number})"


def tower_sites(tower: Tower) -> list[Site]:
    """All sites of a tower that its features pass, in the order of a forward."""
    return [*(Site.tower(block, tower) for block in range(tower.used)), Site.features(tower)]


def llm_sites(depth: int) -> list[Site]:
    """All sites of an LLM in the order of a forward: the input of each layer, then its inside."""
    return [site for number in range(depth) for site in (Site.layer(number, depth), Site.inside(number, depth))]

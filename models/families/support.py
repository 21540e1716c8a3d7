"""Which method works on which family, and why not: from declared needs alone, before a model loads."""

from __future__ import annotations

from typing import Protocol

from winnow.models.families.hybrid import attentive, fitted, unread
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.probes import PageRank, PeakRows, Raters, Rows
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower


class Facts(Protocol):
    """What of a family decides which methods work on it; see `Family`."""

    @property
    def cls(self) -> bool:
        """Whether the vision tower has a CLS token."""

    @property
    def mrope(self) -> bool:
        """Whether positions are three-dimensional."""

    @property
    def both_ways(self) -> bool:
        """Whether the tokens of a picture see those behind them too."""

    @property
    def full_every(self) -> int:
        """Each so many-th layer of the LLM has attention."""

    @property
    def shared_keys(self) -> bool:
        """Whether the LLM's last layers read keys of earlier ones."""

    @property
    def no_tower(self) -> str:
        """Why methods cannot act in the vision tower; empty where they can."""

    @property
    def no_pixels(self) -> str:
        """Why methods cannot choose patches in front of the vision tower; empty where they can."""


def readers_of(shared_keys: bool, depth: int) -> int:
    """How many of an LLM's last layers read keys of earlier ones where nothing tells the number, as in small models.

    The layers before them, of which each third sees everything, have to be of both types.
    """
    return depth // 3 if shared_keys and depth > 3 else 0


def _behind(reducer: Reducer, first: int, depth: int) -> list[int]:
    """Layers from `first` on in which a method acts, or whose statistics it reads."""
    llm = ("layer", "inside", "decode")
    acts = {site.number for site in reducer.sites(depth) if site.kind in llm}
    return sorted(layer for layer in acts | {at for _, at in reducer.probes(depth)} if layer >= first)


def impossible(family: Facts, reducer: Reducer, depth: int, readers: int | None = None) -> str:
    """Say why a method cannot act on a family, wherever its schedule moves to (`fitted`); empty where it can.

    Parameters
    ----------
    family : Facts
        The family, or what is known of it before it is imported.
    reducer : Reducer
        The method with its options.
    depth : int
        Layers of the LLM.
    readers : int or None
        How many of them, the last ones, read keys of earlier ones; None: `readers_of`.
    """
    tower = Tower(blocks=24, used=23 if family.cls else 24, rows=24, cols=24, cls=family.cls)
    try:
        acts = reducer.acts_in_tower(depth, tower)
        reads = reducer.tower_probes(tower)
    except UnsupportedError as error:
        return str(error)
    if Site.pixels(depth) in reducer.sites(depth) and family.no_pixels:
        return f"chooses patches in front of the vision tower, but {family.no_pixels}"
    if acts and family.no_tower:
        return f"acts in the vision tower, but {family.no_tower}"
    if reads and family.no_tower:
        return "reads the vision tower, whose statistics methods cannot have here"
    if layers := unread(fitted(reducer, depth, family.full_every), depth, family.full_every):
        there = attentive(depth, family.full_every)
        return f"reads the attention of layers {layers}, which have none: of {depth} layers {there} have"
    first = depth - (readers_of(family.shared_keys, depth) if readers is None else readers)
    if first < depth and (layers := _behind(reducer, first, depth)):
        return (
            f"acts in or reads layers {layers}, but layers {first} to {depth - 1} read keys of earlier ones, and of a "
            f"prompt its last token alone passes through them: give a schedule that ends before layer {first}"
        )
    if family.full_every > 1 and any(site.kind == "decode" for site in reducer.sites(depth)):
        return "chooses among stored keys while decoding, but most layers carry a state in place of them"
    visual = (Rows("all"), PeakRows("visual"))
    if family.both_ways and any(isinstance(probe, PageRank) or probe in visual for probe, _ in reducer.probes(depth)):
        return "ranks by the attention of visual tokens, which a picture pays both ways here"
    if family.mrope and any(isinstance(probe, Raters) and probe.corrected for probe, _ in reducer.probes(depth)):
        return "corrects attention by the position of a token, of which M-RoPE has three"
    if family.mrope and getattr(reducer, "positions", "keep") != "keep":
        return f"positions={getattr(reducer, 'positions', '')} is undefined under M-RoPE: use positions=keep"
    return ""

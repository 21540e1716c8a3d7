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
    def no_tower(self) -> str:
        """Why methods cannot act in the vision tower; empty where they can."""

    @property
    def no_pixels(self) -> str:
        """Why methods cannot choose patches in front of the vision tower; empty where they can."""


def impossible(family: Facts, reducer: Reducer, depth: int) -> str:
    """Say why a method cannot act on a family, wherever its schedule moves to (`fitted`); empty where it can.

    Parameters
    ----------
    family : Facts
        The family, or what is known of it before it is imported.
    reducer : Reducer
        The method with its options.
    depth : int
        Layers of the LLM.
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

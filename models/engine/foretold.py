"""Where in the tree of shared layers a method should come by, from its plan."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from winnow.models.engine.tree import Node
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.probes import Ahead
from winnow.reducers.core.tower import Tower


class Expected:
    """Where a method should come by, from its plan.

    Parameters
    ----------
    reducer : Reducer
    depth : int
        Layers of the LLM.
    tower : Tower or None
    lent : int or None
        From this layer on it computes by itself, see `Branch`; None: nowhere.
    """

    def __init__(self, reducer: Reducer, depth: int, tower: Tower | None, lent: int | None = None) -> None:
        self.reducer, self.depth = reducer, depth
        self.tower = tower if reducer.acts_in_tower(depth, tower) else None
        self.probes = [(probe, layer) for probe, layer in reducer.probes(depth)]
        sites = reducer.sites(depth)
        lent = depth if lent is None else lent
        self.inside = {site.number for site in sites if site.kind == "inside"} | {*range(lent, depth)}
        looks = {layer for probe, layer in self.probes if isinstance(probe, Ahead)}
        self.stops = {site.number for site in sites if site.kind != "decode"} | looks | {lent, depth}
        self._plans: dict[tuple[Any, ...], list[int]] = {}

    def plan(self, layout: Layout) -> list[int]:
        """Visual tokens of a prompt that each layer should see; empty if there is no saying."""
        grids = tuple(span.grid for span in layout.spans)
        if grids not in self._plans:
            try:
                self._plans[grids] = self.reducer.plan(grids, self.depth, self.tower)
            except WinnowError:
                self._plans[grids] = []
        return self._plans[grids]

    def passes(self, node: Node, layouts: Sequence[Layout]) -> bool:
        """Whether it should come by a node, if it came by the one above."""
        plans = [self.plan(layout) for layout in layouts]
        if node.layer in self.inside or not all(plans):
            return False
        due = [plan[node.layer] for plan in plans]
        whole = [len(layout.visual) for layout in layouts]
        if self.reducer.adaptive and due != whole:
            return node.cutter is type(self.reducer)
        return due == list(node.visual)

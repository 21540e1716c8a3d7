"""No visual token at all: what the language model answers by itself."""

from __future__ import annotations

from dataclasses import dataclass

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower


@dataclass(frozen=True)
class Blind(Reducer):
    """Drop every visual token at the LLM's entrance."""

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return (Site.entrance(depth),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return 0

    def reduce(self, view: View) -> Reduction:
        """See `Reducer.reduce`."""
        return Reduction(view.visual[:0])

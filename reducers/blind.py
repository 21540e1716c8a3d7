"""No visual token at all: what the language model answers by itself."""

from __future__ import annotations

from dataclasses import dataclass

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.reduction import Reduction, View


@dataclass(frozen=True)
class Blind(Reducer):
    """Drop every visual token at the LLM's entrance."""

    def layers(self, depth: int) -> tuple[int, ...]:
        """See `Reducer.layers`."""
        return (0,)

    def count(self, grid: Grid, present: int, layer: int, depth: int) -> int:
        """See `Reducer.count`."""
        return 0

    def reduce(self, view: View) -> Reduction:
        """See `Reducer.reduce`."""
        return Reduction(view.visual[:0])

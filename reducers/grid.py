"""Spatial sampling: keep the token at the centre of each cell of a coarser grid.

A control of LLaVA-PruMerge's Table 4 (5x8, 8x5, 5x7, 7x5, 6x6 and 4x4 of 24x24), which does not say where in its cell a
token lies; here it is the centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import Reducer, sites_of
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class GridSample(Reducer):
    """Keep ``a x b`` tokens of each frame.

    Parameters
    ----------
    ratio : float
        Share of each frame that is left, by a grid of about the frame's own proportions; used where a and b are None.
    a, b : int or None
        Rows and columns of the coarser grid; more than the frame has are as many as it has.
    positions : {"keep", "compact"}
        Position ids of the survivors.
    schedule : K or None
        The layer at whose input the method acts; None is the LLM's entrance.
    """

    native: ClassVar[tuple[str, ...]] = ("a", "b")

    by_frame: ClassVar[bool] = True

    ratio: float = 0.25
    a: int | None = None
    b: int | None = None
    positions: Literal["keep", "compact"] = "keep"
    schedule: K | None = None

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        if (self.a is None) != (self.b is None) or any(n is not None and n < 1 for n in (self.a, self.b)):
            raise WinnowError(f"reducer.a={self.a} reducer.b={self.b} is not allowed: give both, each 1 or more")
        super().__post_init__()

    def keep_all(self) -> GridSample:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0, a=None, b=None)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return sites_of(self.schedule, depth)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return grid.frames * math.prod(self.shape(grid))

    def shape(self, grid: Grid) -> tuple[int, int]:
        """Rows and columns of the coarser grid in a frame."""
        if self.a is not None and self.b is not None:
            return min(self.a, grid.rows), min(self.b, grid.cols)
        a = max(1, round(grid.rows * math.sqrt(self.ratio)))
        return a, min(grid.cols, max(1, round(grid.tokens_per_frame * self.ratio / a)))

    def reduce(self, view: View) -> Reduction:
        """See `Reducer.reduce`."""
        kept = [
            span.positions.view(span.frames, span.rows, span.cols)[:, rows[:, None], cols].flatten()
            for span in view.layout.spans
            for rows, cols in [self._centres(span.grid)]
        ]
        return Reduction(torch.cat(kept), positions=self.positions)

    def _centres(self, grid: Grid) -> tuple[Tensor, Tensor]:
        """Rows and columns that stay."""
        a, b = self.shape(grid)
        return (2 * torch.arange(a) + 1) * grid.rows // (2 * a), (2 * torch.arange(b) + 1) * grid.cols // (2 * b)

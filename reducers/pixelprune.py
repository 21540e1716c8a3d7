"""PixelPrune: leave out squares of a picture that can be told from their neighbours, before the vision tower sees them.

"PixelPrune" (arXiv 2604.00886); official `pixelprune/methods/pred_2d.py`, for Qwen3-VL and Qwen3.5. It takes pictures
alone; films stay whole here. It serves documents and screens: on photographs hardly any square repeats another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.pixels import PixelView
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor

SCALE = 0.5
"""From the processor's values, -1 to 1, to those of the threshold, 0 to 1."""


@dataclass(frozen=True)
class PixelPrune(Released, Reducer):
    """Keep the squares that differ from what their neighbours foretell.

    In two dimensions the left neighbour foretells a square; or the upper one, where the one between them is like the
    left one and unlike the upper one (a vertical edge), and in the first column. In one dimension it is the square
    before, row after row. The first square stays. What is left out counts as what foretold it.

    Parameters
    ----------
    ratio : float
        Only estimates what stays, for plans; how much it is the picture decides.
    tau : float
        Distance up to which squares are alike, in pixels from 0 to 1; 0: equal ones alone. Qwen3-VL's processor scales
        by 0.5, as the official code takes it; Qwen2-VL's by about 0.27, so that there it is about half as strict.
    metric : {"max", "mae", "rmse"}
        The largest difference of any value, their mean, or its root mean square.
    scan : {"2d", "raster"}
        See above.
    anchored : bool
        Compare with what is left of the neighbours, so that errors do not add up; or with the neighbours themselves.
    """

    adaptive: ClassVar[bool] = True

    ratio: float = 0.5
    tau: float = 0.0
    metric: Literal["max", "mae", "rmse"] = "max"
    scan: Literal["2d", "raster"] = "2d"
    anchored: bool = True

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        if self.tau >= 1:
            raise WinnowError(f"reducer.tau={self.tau} is not allowed: choose a distance below 1; below 0 nothing goes")
        super().__post_init__()

    def keep_all(self) -> PixelPrune:
        """See `Reducer.keep_all`."""
        return PixelPrune(tau=-1.0)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return (Site.pixels(depth),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: an estimate; a film stays whole."""
        return present if grid.frames > 1 or self.tau < 0 else min(present, max(1, round(grid.tokens * self.ratio)))

    def reduce(self, view: PixelView) -> Reduction | None:
        """Keep the squares of one picture that nothing foretells."""
        if self.tau < 0:
            return None
        grid = (view.rows, view.cols) if self.scan == "2d" else (1, view.rows * view.cols)
        squares = (view.pixels * SCALE).unflatten(0, grid)
        keep = self._chained(squares) if self.anchored and self.tau > 0 else self._at_once(squares)
        return Reduction(keep.flatten().nonzero().flatten())

    def _alike(self, some: Tensor, others: Tensor) -> Tensor:
        apart = (some - others).abs()
        if self.metric == "max":
            return apart.amax(-1) <= self.tau
        return (apart.mean(-1) if self.metric == "mae" else apart.square().mean(-1).sqrt()) <= self.tau

    def _at_once(self, squares: Tensor) -> Tensor:
        """Which squares stay, each compared with its neighbours as they are; equal ones are those they stand for."""
        keep = torch.ones(squares.shape[:2], dtype=torch.bool)
        keep[0, 1:] = ~self._alike(squares[0, 1:], squares[0, :-1])
        keep[1:, 0] = ~self._alike(squares[1:, 0], squares[:-1, 0])
        left, upper, corner = squares[1:, :-1], squares[:-1, 1:], squares[:-1, :-1]
        edge = self._alike(corner, left) & ~self._alike(corner, upper)
        keep[1:, 1:] = ~self._alike(squares[1:, 1:], torch.where(edge[..., None], upper, left))
        return keep

    def _chained(self, squares: Tensor) -> Tensor:
        """Which squares stay, each compared with what its neighbours stand for."""
        stands, keep = squares.clone(), torch.ones(squares.shape[:2], dtype=torch.bool)
        for row in range(len(squares)):
            for col in range(squares.shape[1]):
                if not row and not col:
                    continue
                told = stands[row, col - 1] if col else stands[row - 1, 0]
                if row and col:
                    upper, corner = stands[row - 1, col], stands[row - 1, col - 1]
                    told = upper if self._alike(corner, told) and not self._alike(corner, upper) else told
                keep[row, col] = not self._alike(squares[row, col], told)
                if not keep[row, col]:
                    stands[row, col] = told
        return keep

"""A picture in front of the vision tower, as a method sees it that chooses patches by their pixels alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class PixelView:
    """One picture, cut into what will be its visual tokens: squares of patches that the tower's merger joins.

    Parameters
    ----------
    site : Site
        `Site.pixels`.
    pixels : Tensor
        Values of each square in the processor's scale, in raster order, shape ``(rows * cols, values)``, on the CPU.
    rows, cols : int
        The grid of squares.
    """

    site: Site
    pixels: Tensor
    rows: int
    cols: int

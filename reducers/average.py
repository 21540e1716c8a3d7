"""Spatial and temporal average: the toy methods that VAS' Table 3 compares with.

Each round halves: neighbours in a frame, or equal positions of adjacent frames, become their mean. VILA's 8 frames of
14x14 tokens go to 14x7 and 7x7 (spatial), or to 4 and 2 frames (temporal), at layers 12 and 20 of 32.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch

from winnow.reducers.core.base import Reducer, halvings, sites_of
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.matching import merge_into
from winnow.reducers.core.pooling import Window, anchors, window_counts, windows
from winnow.reducers.core.reduction import Positions, Reduction, View
from winnow.reducers.core.schedule import Cuts, K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower


@dataclass(frozen=True)
class Average(Reducer):
    """Average adjacent tokens; what has no neighbour left passes through.

    Parameters
    ----------
    ratio : float
        Share that is left once the method has acted, a power of one half; several cuts share the halvings.
    axis : {"spatial", "temporal"}
        Neighbours in a frame, or in time.
    pairs : {"alternate", "width"}
        Spatial halvings pair columns, then rows, then columns (14x14, 14x7, 7x7); or columns alone.
    positions : {"keep", "compact", "mean", "restart"}
        Position ids of the means; they stand at their last member's place.
    schedule : K, Cuts or None
        The layers at whose input the method acts; None is the LLM's entrance.
    """

    ratio: float = 0.5
    axis: Literal["spatial", "temporal"] = "spatial"
    pairs: Literal["alternate", "width"] = "alternate"
    positions: Positions = "keep"
    schedule: K | Cuts | None = None

    def __post_init__(self) -> None:
        """Check the choices, then that the ratio halves."""
        super().__post_init__()
        halvings(self.ratio)
        object.__setattr__(self, "by_frame", self.axis == "spatial")

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return sites_of(self.schedule, depth)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return min(present, math.prod(window_counts(grid, self._window(site))))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: one addition per number."""
        return present * width.hidden

    def reduce(self, view: View) -> Reduction | None:
        """Average the tokens present in each window of the original grid."""
        window, ends = self._window(view.site), []
        for span in view.layout.spans:
            here = view.present(span)
            ends.append(anchors(windows(span.grid, window)[here], span.positions[here], "last"))
        return merge_into(torch.cat(ends), view.visual, self.positions)

    def _window(self, site: Site) -> Window:
        """What has become one token at `site`."""
        cuts = self.sites(site.depth)
        done = -(-halvings(self.ratio) * (cuts.index(site) + 1) // len(cuts))
        if self.axis == "temporal":
            return 2**done, 1, 1
        down = done // 2 if self.pairs == "alternate" else 0
        return 1, 2**down, 2 ** (done - down)

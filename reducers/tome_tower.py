"""ToMe inside the vision tower: every block merges its most similar pairs of tokens.

Bolya et al., "Token Merging: Your ViT but Faster" (ICLR 2023), section 3; official `tome/merge.py` and `patch/timm.py`.
At 25 % in CLIP it is a row of LLaVA-PruMerge's Table 7. Only the blocks that the features pass count: a constant r=19
leaves 139 of 576 patches behind 23 of them, r=18 leaves 162, and ``ratio=0.25`` is 144 (18 blocks of 19, 5 of 18).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch

from winnow.reducers.core.entrance import Variant
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.matching import group_mean, rank_pairs
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.released import settle
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerKeys, TowerProbe, TowerView
from winnow.reducers.core.tower_methods import Merger, arrange, merges


@dataclass(frozen=True)
class ToMeTower(Merger):
    """Match the even tokens to the odd ones by their keys, merge the r most similar; a CLS token never merges.

    Parameters
    ----------
    ratio : float
        Share of a frame's tokens that leaves the tower, spread evenly over its blocks.
    r : int or sequence of int or None
        The paper's knob, the tokens merged away in each block; wins over `ratio`.
    inflection : float
        The official ramp of a single `r` over the blocks: -1 falls to 0, 1 rises from 0, 0 is constant.
    weighted : bool
        Weigh tokens by the number of patches that they hold (paper). False: plain means, as in ports that pass no sizes
        from block to block.
    proportional : bool
        Add log(size) to the attention logits of each key in later blocks (paper, off-the-shelf weights).
    variant : {"mended", "official"}
        Official: the order of a classifier, see `order`.
    order : {"raster", "official", "sorted"} or None
        Sort by own or destination patch after every block, or leave unmerged before merged tokens as the official code
        does for classifiers: the next block then splits another order, and an LLM reads the tokens in it. Unmerged
        tokens stand in raster order where there is a CLS token, else by falling similarity (official). ``sorted``:
        the official order inside the tower, by own or destination patch before the projector. None: raster, or official
        as the variant.
    """

    ratio: float = 0.25
    inflection: float = 0.0
    variant: Variant = "mended"
    order: Literal["raster", "official", "sorted"] | None = None

    def __post_init__(self) -> None:
        """Say what the variant decides, then check."""
        settle(self, order=("raster", "official"))
        super().__post_init__()

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        return tuple((TowerKeys(), block) for block in self.blocks(tower))

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        found = super().sites(depth, tower)
        return (*found, Site.features(tower)) if tower is not None and found and self.order == "sorted" else found

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return present if site.kind == "features" else super().count(site, grid, present)

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`; sorting is free."""
        return 0.0 if site.kind == "features" else super().work(site, grid, present, width)

    def merges(self, tower: Tower) -> list[int]:
        """See `Merger.merges`."""
        return merges(tower, self.r, self.ratio, self.inflection)

    def reduce(self, view: TowerView) -> Reduction:
        """Merge each source into its destination, at the destination's place; before the projector, sort."""
        own = view.index if view.own is None else view.own
        if view.site.kind == "features":
            places = own.sort()
            return Reduction(view.index, torch.eye(len(own))[places.indices].to_sparse(), own=places.values)
        metric = view.signals[TowerKeys(), view.block].float().mean(1)
        first: Literal[0, 1] = 1 if view.tower.cls else 0  # officially a CLS token is the first of the even half
        count = min(self.merges(view.tower)[view.block], len(metric) // 2)
        ranked, best = rank_pairs(metric, first)
        source, destination = ranked[:count], best[:count]
        place = torch.arange(len(view.index))
        group = place.index_copy(0, source, destination)
        unmerged = ranked[count:].sort().values if view.tower.cls or self.order == "raster" else ranked[count:]
        kept = torch.cat([unmerged, place[1 - first :: 2]])
        row = torch.empty_like(place).index_copy_(0, kept, torch.arange(len(kept)))
        weights = group_mean(row[group], len(kept), view.size if self.weighted else None)
        answer = arrange(weights, view.index[kept], "raster" if self.order == "raster" else "official")
        return answer if self.order == "raster" else replace(answer, own=own[kept])

"""SCOPE: keep the patches that together are similar to as much of the picture as possible, weighted by attention.

Deng et al., "SCOPE: Saliency-Coverage Oriented Token Pruning for Efficient Multimodal LLMs" (NeurIPS 2025); official
`clip_encoder.py`. What a patch adds is the sum, over all patches, of what its similarity exceeds that of the patches
picked so far; similarity below zero counts as none.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from winnow.reducers.core.base import check_ratio
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import coverage, unit
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerProbe, TowerView
from winnow.reducers.core.tower_methods import Guide, TowerReducer, guide_probe


@dataclass(frozen=True)
class Scope(TowerReducer):
    """Pick features of each frame one by one: the most coverage gained times attention ** alpha; ties: the lower place.

    Attention is that of the block that yields the features, mean over heads (official: the sum, which ranks alike).

    Parameters
    ----------
    ratio : float
        Share of a frame's patches that leaves the tower.
    alpha : float
        Exponent of the attention; 0: coverage alone. Official: 1.
    guide : {"auto", "cls", "mean"}
        Whose attention: the CLS token's (official), the mean over all patches', or CLS where there is one.
    """

    ratio: float = 0.25
    alpha: float = 1.0
    guide: Guide = "auto"

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        check_ratio(self.ratio)
        if self.alpha < 0:
            raise WinnowError(f"reducer.alpha={self.alpha} is not allowed: choose an exponent of 0 or more")
        super().__post_init__()

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return () if tower is None else (Site.features(tower),)

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        return ((guide_probe(self.guide, tower), tower.used - 1),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return min(present, max(1, round(grid.tokens * self.ratio)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: all pairs once by cosine, then all pairs by what is not covered yet, per pick."""
        return 2 * present**2 * width.hidden + 3 * present**2 * self.count(site, grid, present)

    def reduce(self, view: TowerView) -> Reduction | None:
        """Pick one by one."""
        present = len(view.index)
        total = self.count(view.site, view.tower.grid, present)
        if total == present:
            return None
        features = unit(view.hidden.to(torch.promote_types(view.hidden.dtype, torch.float32)))
        attention = view.signals[guide_probe(self.guide, view.tower), view.tower.used - 1]
        weight = attention.to(features.device, features.dtype) ** self.alpha
        return Reduction(view.index[coverage(features @ features.mT, total, weight).sort().values])

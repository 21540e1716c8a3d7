"""SCOPE: keep the patches that together are similar to as much of the picture as possible, weighted by attention.

Deng et al., "SCOPE: Saliency-Coverage Oriented Token Pruning for Efficient Multimodal LLMs" (NeurIPS 2025); official
`clip_encoder.py`. What a patch adds is the sum, over all patches, of what its similarity exceeds that of the patches
picked so far; similarity below zero counts as none.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import coverage, unit
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import TowerView
from winnow.reducers.core.tower_methods import FeatureReducer


@dataclass(frozen=True)
class Scope(Released, FeatureReducer):
    """Pick features of each frame one by one: the most coverage gained times attention ** alpha; ties: the lower place.

    Attention is that of the block that yields the features, mean over heads (official: the sum, which ranks alike).

    Parameters
    ----------
    alpha : float
        Exponent of the attention; 0: coverage alone. Official: 1.
    """

    alpha: float = 1.0

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        if self.alpha < 0:
            raise WinnowError(f"reducer.alpha={self.alpha} is not allowed: choose an exponent of 0 or more")
        super().__post_init__()

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
        attention = self.attention(view)
        weight = attention.to(features.device, features.dtype) ** self.alpha
        return Reduction(view.index[coverage(features @ features.mT, total, weight).sort().values])

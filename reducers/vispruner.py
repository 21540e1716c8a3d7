"""VisPruner: keep the patches that the tower attends to most, and of the rest those that are unlike each other.

Zhang et al., "Beyond Text-Visual Attention: Exploiting Visual Cues for Effective Token Pruning in VLMs" (ICCV 2025);
official `llava_arch.py`. Its first version, FasterVLM, keeps the attended patches alone: ``important=1``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import unit
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import TowerView
from winnow.reducers.core.tower_methods import FeatureReducer

if TYPE_CHECKING:
    from torch import Tensor

STEP = 8
"""Patches that one round removes."""


@dataclass(frozen=True)
class VisPruner(Released, FeatureReducer):
    """Choose among the features of each frame, by the attention of the block that yields them.

    The rest is thinned out in rounds: the even places of a list against the odd ones, by cosine of the features; the
    eight even ones with the most similar partner go, and the list is the other even ones by falling similarity, then
    the odd ones. Where the official code stops with an error, at an odd number of patches or a round that takes more
    than half, the even places are one more, and a round takes at most them. Ties go to the lower place.

    Parameters
    ----------
    important : float
        Share of those that is chosen by attention, rounded down.
    """

    important: float = 0.5

    def __post_init__(self) -> None:
        """Check the shares, then the choices."""
        if not 0 <= self.important <= 1:
            raise WinnowError(f"reducer.important={self.important} is not allowed: choose a share, 0 <= important <= 1")
        super().__post_init__()

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: all pairs once; the rounds look values up."""
        return 2 * present**2 * width.hidden if self.important < 1 else 0.0

    def reduce(self, view: TowerView) -> Reduction | None:
        """Keep the attended, then thin out the rest."""
        present = len(view.index)
        total = self.count(view.site, view.tower.grid, present)
        if total == present:
            return None
        attention = self.attention(view).float().cpu()
        rank = attention.sort(descending=True, stable=True).indices
        kept = rank[: int(total * self.important)]
        if len(kept) < total:
            exact = torch.promote_types(view.hidden.dtype, torch.float32)
            rest = rank[len(kept) :]
            kept = torch.cat([kept, rest[_diverse(view.hidden.to(exact)[rest], total - len(kept))]])
        return Reduction(view.index[kept.sort().values])


def _diverse(tokens: Tensor, count: int) -> Tensor:
    """Places of `count` tokens that are left when rounds have removed the others."""
    tokens = unit(tokens)
    alike, left = (tokens @ tokens.mT).cpu(), torch.arange(len(tokens))
    while len(left) > count:
        even, odd = left[::2], left[1::2]
        value = alike.index_select(0, even).index_select(1, odd).amax(1) if len(odd) else alike.new_zeros(len(even))
        order = value.sort(descending=True, stable=True).indices
        left = torch.cat([even[order[min(STEP, len(left) - count) :]], odd])
    return left

"""HiPrune: keep anchors that a middle block attends to, with their neighbours, and what a late block attends to.

"HiPrune: Training-Free Visual Token Pruning via Hierarchical Attention in Vision-Language Models" (AAAI 2026); official
code for LLaVA-1.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from winnow.reducers.core.base import top
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.released import Released
from winnow.reducers.core.tower import ClsRow, ColumnMean, Tower, TowerProbe, TowerView
from winnow.reducers.core.tower_methods import FeatureReducer

if TYPE_CHECKING:
    from torch import Tensor

MIDDLE, CROSS = 9 / 24, 5
"""Depth of the block behind which anchors are chosen, and tokens of an anchor with its neighbours."""


@dataclass(frozen=True)
class HiPrune(Released, FeatureReducer):
    """Choose among the features of each frame by what each patch receives from all tokens, CLS included.

    Anchors bring the patches left, right, above and below; the official code counts along the raster, so that the right
    neighbour of a row's last patch is the first of the next row, and beyond both ends stands the end. Tokens that the
    late block attends to fill the budget. Ties go to the lower place.

    Parameters
    ----------
    alpha : float
        Share of the budget that goes to anchors with their neighbours, a fifth of it anchors, rounded.
    guide : {"auto", "cls", "mean"}
        Official: all queries' mean, here auto and mean; cls: the CLS query alone.
    """

    alpha: float = 0.1

    def __post_init__(self) -> None:
        """Check the share, then the choices."""
        if not 0 <= self.alpha <= 1:
            raise WinnowError(f"reducer.alpha={self.alpha} is not allowed: choose a share, 0 <= alpha <= 1")
        super().__post_init__()

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`: of the middle block and of the one that yields the features."""
        blocks = sorted({min(max(int(tower.blocks * MIDDLE) - 1, 0), tower.used - 1), tower.used - 1})
        return tuple((probe, block) for block in blocks for probe in self._probes(tower))

    def reduce(self, view: TowerView) -> Reduction | None:
        """Anchors with their neighbours, then the late block's choice."""
        present, tower = len(view.index), view.tower
        total = self.count(view.site, tower.grid, present)
        if total == present:
            return None
        blocks = sorted({block for _, block in view.signals})
        middle, late = (self._received(view, block) for block in (blocks[0], blocks[-1]))
        around = torch.tensor([0, -1, 1, -tower.cols, tower.cols])
        for number in range(round(total * self.alpha / CROSS), -1, -1):
            anchors = top(middle, number)
            kept = torch.zeros(present, dtype=torch.bool)
            kept[(anchors[:, None] + around).clamp(0, present - 1)] = True
            if int(kept.sum()) <= total:
                break
        kept[top(late.masked_fill(kept, -1), total - int(kept.sum()))] = True
        return Reduction(view.index[kept])

    def _probes(self, tower: Tower) -> tuple[TowerProbe, ...]:
        if self.guide == "cls":
            return (ClsRow(),)
        return (ColumnMean(), ClsRow()) if tower.cls else (ColumnMean(),)

    def _received(self, view: TowerView, block: int) -> Tensor:
        """What each patch receives in a block, from patches and CLS by their number."""
        rows = {type(probe): value for (probe, at), value in view.signals.items() if at == block}
        if len(rows) == 1:
            return next(iter(rows.values())).cpu()
        patches = view.tower.patches
        return ((rows[ColumnMean] * patches + rows[ClsRow]) / (patches + 1)).cpu()

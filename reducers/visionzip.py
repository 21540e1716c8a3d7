"""VisionZip: keep the dominant patches, and merge the others into a few contextual ones.

Yang et al., "VisionZip: Longer is Better but Not Necessary in Vision Language Models" (CVPR 2025), section 3; official
`visionzip/clip_encoder.py`. The official code counts the CLS token among the dominant ones and hands it to the LLM;
here one more patch stands for it, as methods choose among patches (and towers without CLS have none).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import unit
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerKeys, TowerProbe, TowerView
from winnow.reducers.core.tower_methods import FeatureReducer, Order, arrange

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class VisionZip(Released, FeatureReducer):
    """Choose and merge the features of each frame, by attention and keys of the block that yields them.

    The others are listed in raster order; tokens at equal distances in that list are targets, and every other one joins
    the target whose key, the mean over heads, is most similar by cosine (ties to the earlier target).

    Parameters
    ----------
    share : float
        Contextual tokens among those. Paper: 30 of 192, 20 of 128, 10 of 64.
    contextual : {"sum", "mean"}
        The code adds the mean of those that joined to the target, which makes alike tokens twice as long; the paper
        says merge: the mean of all of them.
    order : {"official", "raster"}
        Dominant patches in raster order, then contextual ones; or each at the place of its patch.
    """

    share: float = 0.15625
    contextual: Literal["sum", "mean"] = "sum"
    order: Order = "official"

    def __post_init__(self) -> None:
        """Check the shares, then the choices."""
        if not 0 <= self.share < 1:
            raise WinnowError(f"reducer.share={self.share} is not allowed: choose a share, 0 <= share < 1")
        super().__post_init__()

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        return (*super().tower_probes(tower), (TowerKeys(), tower.used - 1))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: keys of the others against the targets, then their sums."""
        kept = self.count(site, grid, present)
        others, targets = present - kept, round(kept * self.share)
        return 2 * others * targets * width.head + 2 * others * width.hidden

    def reduce(self, view: TowerView) -> Reduction | None:
        """Choose, then merge the others."""
        present = len(view.index)
        total = self.count(view.site, view.tower.grid, present)
        if total == present:
            return None
        attention, keys = (view.signals[probe] for probe in self.tower_probes(view.tower))
        rank = attention.float().cpu().sort(descending=True, stable=True).indices
        targets = round(total * self.share)
        dominant = rank[: total - targets].sort().values
        weights = torch.eye(present)[dominant]
        if targets:
            others = rank[total - targets :].sort().values
            chosen = others[torch.arange(targets) * (len(others) // targets)]
            weights = torch.cat([weights, self._merged(keys, others, chosen)])
            dominant = torch.cat([dominant, chosen])
        return arrange(weights, view.index[dominant], self.order)

    def _merged(self, keys: Tensor, others: Tensor, targets: Tensor) -> Tensor:
        """Weights of the contextual tokens, ``(targets, present)``."""
        exact = torch.promote_types(keys.dtype, torch.float32)
        metric = unit(keys.to(exact).mean(1))
        joining = others[~torch.isin(others, targets)]
        best = (metric[joining] @ metric[targets].mT).cpu().max(1).indices if len(joining) else joining
        own, joined = torch.zeros(2, len(targets), len(keys))
        own[torch.arange(len(targets)), targets] = 1
        joined[best, joining] = 1
        if self.contextual == "mean":
            return (own + joined) / (own + joined).sum(1, keepdim=True)
        return own + joined / joined.sum(1, keepdim=True).clamp_min(1)

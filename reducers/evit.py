"""EViT: at three depths of the vision tower keep the attentive patches and fuse the inattentive ones into one token.

Liang et al., "Not All Patches Are What You Need" (ICLR 2022), section 3; official `evit.py`. Tuned in the original,
training-free here, as in LLaVA-PruMerge's Table 7: 576 patches become 364, 231, 147 at rate 0.63, the fused token of
each cut included, which is an ordinary patch afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from winnow.reducers.core.base import check_ratio
from winnow.reducers.core.entrance import Variant
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.released import settle
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import TowerView
from winnow.reducers.core.tower_methods import Cutter, Order, arrange, guide_probe

RATE = 0.63
"""The rate that leaves a quarter of the patches behind three cuts."""


@dataclass(frozen=True)
class EViT(Cutter):
    """Rank by the CLS token's attention, mean over heads, between attention and MLP.

    Parameters
    ----------
    ratio : float or None
        Share of a frame's tokens that leaves the tower, fused tokens included, by equal cuts. None: `rate` counts.
    rate : float or None
        The paper's knob: each cut keeps ``ceil(rate * n)`` of n patches, and the fused token; wins over `ratio`.
        None: from `ratio`, or 0.63.
    fuse : bool
        Fuse the inattentive patches into one token, the sum of a_j x_j with the raw attention a (official). False: drop
        them.
    variant : {"mended", "official"}
        Official: the order of a classifier, see `order`, which an LLM would read.
    order : {"raster", "official"} or None
        Every token at its own patch, the fused one at the last patch that was dropped; or by falling attention, the
        fused one last, as the official code leaves them for a classifier. None: as the variant.
    """

    native: ClassVar[tuple[str, ...]] = ("rate",)

    ratio: float | None = None
    rate: float | None = None
    fuse: bool = True
    variant: Variant = "mended"
    order: Order | None = None

    def __post_init__(self) -> None:
        """Say what the variant decides, check the shares, then the choices."""
        settle(self, order=("raster", "official"))
        for name in ("ratio", "rate"):
            if getattr(self, name) is not None:
                check_ratio(getattr(self, name), name)
        super().__post_init__()

    def keep_all(self) -> EViT:
        """See `Reducer.keep_all`."""
        return replace(self, rate=1.0)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return sum(self._counts(site, present))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: the sum of the inattentive patches."""
        return 2 * present * width.hidden if self.fuse else 0.0

    def reduce(self, view: TowerView) -> Reduction | None:
        """Keep the most attentive, fuse the rest."""
        present = len(view.index)
        kept, fused = self._counts(view.site, present)
        if kept == present:
            return None
        attention = view.signals[guide_probe(self.guide, view.tower), view.block].float().cpu()
        rank = attention.sort(descending=True, stable=True).indices
        slots = rank[:kept]
        weights = torch.eye(present)[slots]
        if fused:
            rest = torch.where(torch.isin(torch.arange(present), slots), 0.0, attention)
            weights, slots = torch.cat([weights, rest[None]]), torch.cat([slots, rank[kept:].max()[None]])
        return arrange(weights, view.index[slots], self.order or "raster")

    def _counts(self, site: Site, present: int) -> tuple[int, int]:
        """Patches that a cut keeps of those present, and fused tokens that it adds."""
        if self.rate is None and self.ratio is not None:
            left = min(present, self.equal_cut(site, self.ratio))
            fused = int(self.fuse and 1 < left < present)
            return left - fused, fused
        kept = math.ceil((self.rate or RATE) * present)
        return kept, int(self.fuse and kept < present)

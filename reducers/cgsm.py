"""CGSM: complete-graph soft matching, the part of CrossGET that needs no training.

Shi et al., "CrossGET: Cross-Guided Ensemble of Tokens" (ICML 2024), section 3.2 and 3.3; official code, LLaVA folder.
CrossGET itself adds a learned cross-modal token to each block and tunes the model: that cannot be had training-free, so
its published numbers are not this method's. Here the CLS token (or the mean of the patches) guides instead of it.
LLaVA's r=13 in every CLIP block leaves 277 of 576 patches behind 23 blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import ColumnMean, Tower, TowerKeys, TowerProbe, TowerView
from winnow.reducers.core.tower_methods import Guide, Merger, guide_probe, merges

if TYPE_CHECKING:
    from torch import Tensor

R = 13
"""Tokens merged away in each block of the published LLaVA model."""


@dataclass(frozen=True)
class CGSM(Released, Merger):
    """Let every token look for a partner among all; merge the unimportant into what resembles them.

    Parameters
    ----------
    ratio : float or None
        Share of a frame's tokens that leaves the tower, spread evenly over its blocks. None: `r` counts.
    r : int or sequence of int or None
        Tokens merged away in each block, at most half; wins over `ratio`. None: from `ratio`, or 13.
    guide : {"auto", "cls", "mean"}
        Whose attention is added to the mean attention that a token receives: the CLS token's, the patches' mean itself,
        or CLS where there is one.
    weighted : bool
        Weigh a pair by its importance, softmax of the two times 2 (official). False: by size alone, as ToMe.
    proportional : bool
        Add log(size) to the attention logits of each key in later blocks (official).
    """

    guide: Guide = "auto"

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        probes = dict.fromkeys((TowerKeys(), ColumnMean(), guide_probe(self.guide, tower)))
        return tuple((probe, block) for block in self.blocks(tower) for probe in probes)

    def merges(self, tower: Tower) -> list[int]:
        """See `Merger.merges`."""
        return merges(tower, R, 1.0) if self.r is None and self.ratio is None else super().merges(tower)

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: every token against every other."""
        return (2 * present**2 + 4 * present) * width.head + 2 * present * width.hidden

    def reduce(self, view: TowerView) -> Reduction:
        """Merge the sources into their destinations, which keep their places."""
        count = min(self.merges(view.tower)[view.block], len(view.index) // 2)
        keys = view.signals[TowerKeys(), view.block].float().mean(1)
        guide = view.signals[guide_probe(self.guide, view.tower), view.block]
        importance = (view.signals[ColumnMean(), view.block] + guide).float().cpu()
        source, destination = complete_match(keys, importance, count)
        weights = _ensemble(source, destination, importance if self.weighted else None, view.size.float())
        kept = torch.ones(len(view.index), dtype=torch.bool).index_fill_(0, source, False)
        return Reduction(view.index[kept], weights[kept].to_sparse())


def complete_match(keys: Tensor, importance: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Choose sources by low importance and a good partner, and the destination of each.

    Tokens are ranked by their best similarity; only partners behind a token in this rank count for its own cost, so
    that every pair is weighed once. The official ranking breaks the exact ties of mutual neighbours at random; here
    they go to the lower index.

    Parameters
    ----------
    keys : Tensor
        Compared by cosine, shape ``(n, width)``; a zero vector has cosine 0 with all.
    importance : Tensor
        Shape ``(n,)``, on the CPU.
    count : int
        Sources, fewer than n.

    Returns
    -------
    tuple of Tensor
        Sources, by rising cost, and their destinations, ``(count,)`` each.
    """
    unit = torch.nn.functional.normalize(keys, dim=-1)
    similarity = (unit @ unit.mT).cpu()
    similarity = ((similarity + similarity.mT) / 2).fill_diagonal_(float("-inf"))
    rank = similarity.amax(1).sort(descending=True, stable=True).indices.argsort()
    behind = similarity.masked_fill(rank[:, None] >= rank, float("-inf"))
    source = (importance - behind.amax(1)).sort(stable=True).indices[:count]
    return source, similarity.index_fill(1, source, float("-inf"))[source].argmax(1)


def _ensemble(source: Tensor, destination: Tensor, importance: Tensor | None, size: Tensor) -> Tensor:
    """Weights of all tokens, ``(n, n)``; a pair adds ``w_src * src`` and ``(w_dst - 1) * dst``, all by size."""
    share = torch.ones(2, len(source))
    if importance is not None:
        share = 2 * torch.stack([importance[source], importance[destination]]).softmax(0)
    weights = torch.diag(size * torch.ones_like(size).index_add_(0, destination, share[1] - 1))
    weights[destination, source] = share[0] * size[source]
    return weights / size.index_add(0, destination, size[source])[:, None]

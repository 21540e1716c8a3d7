"""AIM merging: halve each frame again and again by averaging its most similar tokens, before the LLM sees them.

Zhong et al., "AIM: Adaptive Inference of Multi-Modal LLMs via Token Merging and Pruning" (ICCV 2025), section 3.1;
official `llava/model/token_merge.py`. One iteration on t tokens compares the even with the odd ones by cosine and
averages the most similar even ones into their best odd one, all with equal weight, however many tokens they stand for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.entrance import Variant
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.matching import block_diagonal, follow, group_mean, match_work, rank_pairs
from winnow.reducers.core.reduction import Positions, Reduction, View
from winnow.reducers.core.released import settle
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerKeys, TowerProbe, TowerView
from winnow.reducers.core.tower_methods import Order, check_merges

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class AIMMerge(Reducer):
    """Merge inside each frame at the LLM's entrance.

    Parameters
    ----------
    ratio : float
        Share of each frame's tokens that is left: full halvings, then one smaller step (0.375 of 196: 98, then 74).
    r : int or sequence of int or None
        The code's knob, the tokens that each iteration merges away from a frame, at most half; wins over `ratio`.
    metric : {"embeddings", "keys"}
        What is compared: the embeddings; or, as the official LLaVA-1.5 code does, the keys of the tower's last block,
        with the merging done on the tower's features.
    counts : {"code", "paper"}
        An odd t loses floor(t/2) in the code (196, 98, 49, 25, 13, 7, 4); the paper counts 24, 12, 6, 3.
    variant : {"mended", "official"}
        Official: the code's order, and by embeddings, which is its way for LLaVA-OneVision, films alone; see below.
    order : {"raster", "official"} or None
        Sort by own or destination place after every iteration; or the code's order, left-over even tokens first. None:
        as the variant.
    images : bool or None
        False: spans of a single frame pass through, as in the official LLaVA-OneVision code. None: true, but as the
        variant says.
    positions : {"compact", "keep", "mean", "restart"}
        Official: compact. The merged token otherwise keeps its destination's id, or gets the mean of its members'.
    """

    native: ClassVar[tuple[str, ...]] = ("r",)

    by_frame: ClassVar[bool] = True

    ratio: float = 0.25
    r: int | Sequence[int] | None = None
    metric: Literal["embeddings", "keys"] = "embeddings"
    counts: Literal["code", "paper"] = "code"
    variant: Variant = "mended"
    order: Order | None = None
    images: bool | None = None
    positions: Positions = "compact"

    def __post_init__(self) -> None:
        """Say what the variant decides, check the numbers, then the choices."""
        settle(self, order=("raster", "official"), images=(True, self.metric == "keys"))
        object.__setattr__(self, "r", check_merges(self.r, "iteration"))
        super().__post_init__()

    def keep_all(self) -> AIMMerge:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0, r=None)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        if self.metric == "embeddings":
            return (Site.entrance(depth),)
        return () if tower is None else (Site.features(tower),)

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        return ((TowerKeys(), tower.blocks - 1),) if self.metric == "keys" else ()

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return grid.frames * (grid.tokens_per_frame - sum(self.removals(grid)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: the iterations of each frame."""
        lost = [0, *accumulate(self.removals(grid))]
        return grid.frames * sum(match_work(grid.tokens_per_frame - gone, width.hidden) for gone in lost[:-1])

    def removals(self, grid: Grid) -> list[int]:
        """Tokens that each iteration takes from a frame."""
        if grid.frames == 1 and not self.images:
            return []
        left, steps = grid.tokens_per_frame, []
        for asked in self._asked(left):
            most = left // 2 if self.counts == "code" or left == 1 else left - left // 2
            steps.append(most if asked is None else min(asked, most))
            left -= steps[-1]
        return [step for step in steps if step]

    def _asked(self, tokens: int) -> list[int | None]:
        """Tokens that each iteration is to merge away; None: half of them."""
        if self.r is not None:
            return [self.r] if isinstance(self.r, int) else list(self.r)
        halvings = math.floor(math.log2(1 / self.ratio) + 1e-9)
        rest = int(tokens * (0.5**halvings - self.ratio) + 1e-9)
        return [*(tokens >> i if self.counts == "code" else None for i in range(1, halvings + 1)), rest]

    def reduce(self, view: View | TowerView) -> Reduction | None:
        """Merge each span by its embeddings, or the features of one frame by their keys."""
        return self._frame(view) if isinstance(view, TowerView) else self._prompt(view)

    def _prompt(self, view: View) -> Reduction | None:
        spans = view.layout.spans
        frames = view.visual_hidden.split([len(span) for span in spans])
        merged = [self._merge(x.unflatten(0, (s.frames, -1)), s.grid) for x, s in zip(frames, spans, strict=True)]
        keep = torch.cat([span.positions[anchor] for span, (anchor, _) in zip(spans, merged, strict=True)])
        weights = block_diagonal([weights for _, weights in merged])
        return None if len(keep) == len(view.visual) else Reduction(keep, weights, self.positions)

    def _frame(self, view: TowerView) -> Reduction | None:
        keys = view.signals[TowerKeys(), view.tower.blocks - 1].flatten(1)
        anchor, weights = self._merge(keys[None], Grid(1, len(keys)))
        return None if len(anchor) == len(keys) else Reduction(view.index[anchor], weights)

    def _merge(self, metric: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
        """Anchors, ascending, and weights of one span, given what is compared ``(frames, tokens, width)``."""
        frames, metric = len(metric), metric.float()
        anchor = torch.arange(grid.tokens).view(frames, -1)
        group, share = anchor.flatten(), torch.ones(grid.tokens)
        for count in self.removals(grid):
            slot, order = self._slots(metric, count)
            slot = (slot + torch.arange(frames)[:, None] * order.shape[1]).flatten()
            mean = group_mean(slot, order.numel())
            metric = torch.sparse.mm(mean.to(metric.device), metric.flatten(0, 1)).unflatten(0, (frames, -1))
            group, share = follow(group, share, slot)
            anchor = anchor.gather(1, order)
        return anchor.sort(1).values.flatten(), group_mean(group, anchor.numel(), share)

    def _slots(self, metric: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """One iteration: the slot to which each token goes, and the token at whose place each slot stands."""
        source, destination = rank_pairs(metric)
        odd = torch.arange(1, metric.shape[1], 2).expand(len(metric), -1)
        order = torch.cat([source[:, count:], odd], 1)
        if self.order == "raster":
            order = order.sort(1).values
        slot = torch.empty(metric.shape[:2], dtype=torch.long)
        slot.scatter_(1, order, torch.arange(order.shape[1]).expand_as(order))
        return slot.scatter_(1, source[:, :count], slot.gather(1, destination[:, :count])), order

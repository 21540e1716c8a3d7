"""PruneVid, before the LLM: average what stands still in a scene, then cluster what is left in each frame.

Huang et al., "PruneVid: Visual Token Pruning for Efficient Video Large Language Models" (ACL 2025), sections 3.2 and
3.3; official `modeling_pllava.py`, for PLLaVA alone. Its second half, which drops tokens at layer 10 by the largest
attention over heads and text, and their keys in the layers before, is not part of this method.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, ClassVar

import torch

from winnow.reducers.core.base import check_ratio
from winnow.reducers.core.clusters import contiguous, density_peaks
from winnow.reducers.core.greedy import unit
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.matching import group_mean
from winnow.reducers.core.merger import Merger, raster
from winnow.reducers.core.reduction import Positions, View
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower_methods import Order

if TYPE_CHECKING:
    from torch import Tensor

NEIGHBOURS, FEW = 7, 14
"""Nearest tokens of a density, and the most tokens that are not clustered."""


@dataclass(frozen=True)
class PruneVid(Released, Merger):
    """Merge each span: scenes by density peaks on frame means, then static places, then similar tokens.

    A place is static in a scene if its mean cosine over all pairs of frames is above `tau`. The official code stops at
    videos of fewer than seven frames; here fewer neighbours count, there is one scene at least, and a scene of a single
    frame, a picture too, has no static places.

    Parameters
    ----------
    ratio : float
        Share of clusters among more than 14 static places of a scene, or dynamic tokens of a frame, rounded down.
    scenes : float
        Scenes per frame, rounded down; pieces of a scene that lie apart go to their neighbours.
    tau : float
        Mean cosine above which a place is static; above 1: none is.
    order : {"official", "raster"}
        Static tokens of a scene, then those of its frames, clusters by falling score; or each at the place of its
        centre, static ones in the scene's first frame.
    positions : {"compact", "keep", "mean", "restart"}
        Official: compact.
    """

    adaptive: ClassVar[bool] = True

    ratio: float = 0.5
    scenes: float = 0.25
    tau: float = 0.8
    order: Order = "official"
    positions: Positions = "compact"

    def __post_init__(self) -> None:
        """Check the shares, then the choices."""
        check_ratio(self.scenes, "scenes")
        super().__post_init__()

    def keep_all(self) -> PruneVid:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0, tau=2.0)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: an estimate, of a video in which nothing stands still."""
        return min(present, grid.frames * self._clusters(grid.tokens_per_frame))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: distances inside frames and between them, then sums."""
        return (2 * grid.frames * grid.tokens_per_frame**2 + 2 * grid.frames**2 + 6 * present) * width.hidden

    def merge(self, tokens: Tensor, span: Span, view: View) -> tuple[Tensor, Tensor]:
        """See `Merger.merge`."""
        group, slots = self._groups(tokens.unflatten(0, (span.frames, -1)))
        merged = slots, group_mean(group, len(slots))
        return raster(*merged) if self.order == "raster" else merged

    def _clusters(self, tokens: int) -> int:
        return int(tokens * self.ratio) if tokens > FEW else tokens

    def _groups(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """The group of each token, ``(frames * tokens,)``, and the place of each group, in the official order."""
        place = torch.arange(frames.shape[0] * frames.shape[1]).view(frames.shape[:2])
        group = torch.empty_like(place)
        slots: list[Tensor] = []
        labels = self._scenes(frames)
        ends = list(accumulate(len(list(scene)) for _, scene in groupby(labels)))
        for start, stop in zip([0, *ends], ends, strict=False):
            still = self._still(frames[start:stop])
            parts = [(slice(start, stop), still, frames[start:stop].mean(0))]
            parts += [(slice(i, i + 1), ~still, frames[i]) for i in range(start, stop)]
            for rows, here, states in parts:
                members = here.nonzero().flatten()
                centres, cluster = self._cluster(states[members.to(states.device)])
                group[rows, members] = cluster + sum(map(len, slots))
                slots.append(place[rows.start, members[centres]])
        return group.flatten(), torch.cat(slots)

    def _scenes(self, frames: Tensor) -> list[int]:
        count = max(1, int(len(frames) * self.scenes))
        return contiguous(density_peaks(frames.mean(1), count, NEIGHBOURS)[1].tolist())

    def _still(self, frames: Tensor) -> Tensor:
        """Which places of a scene stand still, on the CPU; the sum over all pairs is the square of the sum."""
        pairs = len(frames) * (len(frames) - 1)
        if not pairs:
            return torch.zeros(frames.shape[1], dtype=torch.bool)
        return ((unit(frames).sum(0).square().sum(-1) - len(frames)) / pairs > self.tau).cpu()

    def _cluster(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Centres among some tokens and the cluster of each; few tokens stay alone."""
        count = self._clusters(len(tokens))
        alone = torch.arange(len(tokens))
        return (alone, alone) if count == len(tokens) else density_peaks(tokens, count, NEIGHBOURS)

"""FastVID: in each segment of a video keep salient tokens, and merge the others into dense ones of every fourth frame.

Shen et al., "FastVID: Dynamic Density Pruning for Fast Video Large Language Models" (NeurIPS 2025), section 3; official
`modeling_qwen2.py` for LLaVA-OneVision. There, frames are compared, and tokens called salient, by SigLIP's pooling
head, which is in no checkpoint of the models here (``variant=head``). The default is that of the official code for
Qwen2.5-VL: a frame is the mean of its tokens, and salient is what the vision tower attends to. That code's further
threshold, by which frames that are like their successor hold no anchors, and the noise on densities are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import check_ratio, top
from winnow.reducers.core.clusters import density_peaks, segments
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import unit
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.merger import Merger, Part, alone, raster, rows_of, told_by_tower
from winnow.reducers.core.reduction import View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerProbe
from winnow.reducers.core.tower_methods import Guide, check_checkpoint, guide_probe, head_probe

if TYPE_CHECKING:
    from torch import Tensor

NEIGHBOURS = 4
"""Nearest tokens of a density."""
USUAL = "google/siglip-so400m-patch14-384"
"""The checkpoint that the vision tower of LLaVA-OneVision comes from."""


@dataclass(frozen=True)
class FastVID(Merger):
    """Give each frame's budget in part to what is salient in it, in part to anchors of its segment.

    A segment of L frames has ``ceil(L / every)`` frames of anchors, counted from its last; they share the context
    budget of all L equally, rounded down. Anchors are density peaks among a frame's other tokens. Each frame of anchors
    lets every token of the segment that is not salient join its most similar anchor, itself too; an anchor becomes
    ``w anchor + (1 - w) mean of those that joined``, ``w = max(beta, 1 / (joined + 1))``. Videos of fewer frames than
    `segments` are cut between all of them, where the official code stops.

    Parameters
    ----------
    ratio : float
        Share of each frame's tokens, rounded down.
    context : float
        Share of these that anchors get, rounded down; the paper's d.
    segments : int
        Segments at least; the paper's c.
    tau : float
        Cosine of neighbouring frames below which they are always cut apart. Official for Qwen2.5-VL: 0.84.
    every : int
        The paper's p.
    beta : float
        The least weight of an anchor in itself.
    variant : {"tower", "head"}
        By what frames are compared, and what is salient: the means of their tokens and the tower's attention, or the
        vectors of SigLIP's pooling head and where it looks.
    pooling_head : str or None
        By the head: a SigLIP checkpoint, see `PooledByHead`.
    guide : {"auto", "cls", "mean"}
        Of the tower's attention: the CLS token's, the mean over all patches', or CLS where there is one.
    """

    adaptive: ClassVar[bool] = True
    checkpoints: ClassVar[tuple[str, ...]] = ("pooling_head",)

    context: float = 0.4
    segments: int = 8
    tau: float = 0.9
    every: int = 4
    beta: float = 0.6
    variant: Literal["tower", "head"] = "tower"
    pooling_head: str | None = None
    guide: Guide = "auto"

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        check_checkpoint(self.variant, self.variant == "head", "pooling_head", self.pooling_head, USUAL)
        check_ratio(self.context, "context")
        check_ratio(self.beta, "beta")
        for name in ("segments", "every"):
            if getattr(self, name) < 1:
                raise WinnowError(f"reducer.{name}={getattr(self, name)} is not allowed: choose 1 or more")
        super().__post_init__()

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        if self.pooling_head is not None:
            return head_probe(self.pooling_head, tower)
        return ((guide_probe(self.guide, tower), tower.used - 1),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: the most there can be; segments round some away."""
        return present if self.ratio >= 1 else min(present, grid.frames * sum(self._shares(grid.tokens_per_frame)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: distances in frames, then tokens against the anchors of segments of equal length."""
        length = -(-grid.frames // self.segments)
        return 2 * present * (grid.tokens_per_frame + length * self._shares(grid.tokens_per_frame)[1]) * width.hidden

    def merge(self, tokens: Tensor, span: Span, view: View) -> tuple[Tensor, Tensor]:
        """See `Merger.merge`."""
        frames, place = tokens.unflatten(0, (span.frames, -1)), torch.arange(len(tokens)).view(span.frames, -1)
        salient, context = self._shares(place.shape[1])
        (told,) = (values[span.positions] for values in told_by_tower(view))
        if self.variant == "head":
            attention, about = told[:, 0], told[:, 1:].unflatten(0, (span.frames, -1))[:, 0]
        else:
            attention, about = told, frames.mean(1)
        chosen = [top(row, salient) for row in attention.view_as(place)]
        left = torch.ones_like(place, dtype=torch.bool).scatter_(1, torch.stack(chosen), False)
        others = place[left].view(span.frames, -1)
        parts = [alone(place.gather(1, torch.stack(chosen)).flatten())]
        for start, stop in segments(_alike(about).cpu(), self.segments, self.tau):
            last, members = stop - 1, others[start:stop].flatten()
            holding = range(last, start - 1, -self.every)
            anchors = min(context * (stop - start) // len(holding), others.shape[1])
            for frame in reversed(holding) if anchors else ():
                centres = density_peaks(tokens[others[frame].to(tokens.device)], anchors, NEIGHBOURS)[0]
                parts.append(self._merged(tokens, others[frame, centres], members))
        return raster(*rows_of(parts, len(tokens)))

    def _shares(self, size: int) -> tuple[int, int]:
        """Salient tokens of a frame, and its part of the anchors."""
        total = max(1, int(size * self.ratio))
        context = 0 if self.ratio >= 1 else int(total * self.context)
        return total - context, context

    def _merged(self, tokens: Tensor, anchors: Tensor, members: Tensor) -> Part:
        """The anchors of a frame with the tokens that join them."""
        states, ends = (unit(tokens[places.to(tokens.device)]) for places in (members, anchors))
        joined = (states @ ends.mT).argmax(1).cpu()
        count = joined.bincount(minlength=len(anchors))
        own = (1 / (count + 1)).clamp_min(self.beta)
        each = (1 - own) / count.clamp_min(1)
        rows = torch.cat([torch.arange(len(anchors)), joined])
        return Part(anchors, torch.cat([anchors, members]), rows, torch.cat([own, each[joined]]))


def _alike(frames: Tensor) -> Tensor:
    """Cosine of each frame with the next."""
    frames = unit(frames)
    return (frames[:-1] * frames[1:]).sum(1)

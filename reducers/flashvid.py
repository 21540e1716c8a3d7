"""FlashVID: keep attended and diverse tokens, let the others flow into trees over time, then cluster what is left.

Fan et al., "FlashVID: Efficient Video Large Language Models via Training-free Tree-based Spatiotemporal Token Merging"
(ICLR 2026); official `flashvid/utils.py`. The noise that it adds to densities is left out; it decides only where
two tokens are each other's nearest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import check_ratio
from winnow.reducers.core.clusters import density_peaks, segments
from winnow.reducers.core.entrance import Variant
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import max_min, unit
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.merger import Part, TwoStages, alone, raster, rows_of, told_by_tower
from winnow.reducers.core.reduction import View
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor

NEIGHBOURS, FACTOR = 7, 1e6
"""Nearest tokens of a density, or as many as there are clusters; and the factor on attention."""


@dataclass(frozen=True)
class FlashVID(TwoStages):
    """Segments of a video; in each frame a greedy choice, then trees over its frames, then clusters of their roots.

    The choice is DivPrune's with each token's distances times its attention, and in v2 times how much it is like the
    frames of the segment, a mean of dot products that may be negative. A token that was not chosen joins its best
    predecessor if their cosine is above `tau`; where that leaves less than the budget, above a higher bound. Roots of a
    segment share what choices leave of the budget; those of each frame are clustered by density peaks, a cluster is the
    plain mean of its roots.

    Parameters
    ----------
    ratio : float
        Share of each frame's tokens before `expansion`, rounded up; with the defaults also the mean over 28 layers.
    expansion : float
        Factor on the ratio at the entrance, since the second stage takes away more.
    alpha : float
        Share of a frame's budget that is chosen, rounded up.
    version : {"v2", "v1"}
        Official: v2 on LLaVA, v1 on Qwen.
    segments : int
        Segments at least. Official for Qwen3-VL: 4.
    cut : float
        Cosine of neighbouring frames' means below which they are always cut apart.
    tau : float
        Least cosine of a token to its predecessor; 1: no trees, and no clusters.
    second : float
        Share that is left from the schedule's layer on, rounded up, by the last token's attention. Qwen3-VL: 0.1.
    guide : {"auto", "cls", "mean"}
        Whose attention in the tower: official the mean over all patches' (SigLIP).
    variant : {"mended", "official"}
        The official code divides a root by one more than its DIRECT children, though all descendants are in its sum,
        lets segments of a single frame cluster the chosen tokens once more, and v2 pick a token twice. Mended: a root
        is the mean of its tree, and each token counts once.
    positions : {"compact", "keep", "mean", "restart"}
        Official: compact on LLaVA, keep on Qwen; the second stage keeps them.
    schedule : K
        Where the second stage acts. Official: layer 20 of 28.
    """

    adaptive: ClassVar[bool] = True

    expansion: float = 1.25
    alpha: float = 0.7
    version: Literal["v2", "v1"] = "v2"
    segments: int = 8
    cut: float = 0.9
    tau: float = 0.8
    second: float = 0.3
    variant: Variant = "mended"
    schedule: K = K(20, of=28)

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        check_ratio(self.alpha, "alpha")
        if self.expansion < 1 or self.segments < 1:
            raise WinnowError(
                f"reducer.expansion={self.expansion} or segments={self.segments} is not allowed: choose 1 or more"
            )
        super().__post_init__()

    def entering(self, grid: Grid) -> int:
        """See `TwoStages.entering`."""
        return grid.frames * sum(self._shares(grid.tokens_per_frame))

    def left(self, present: int) -> int:
        """See `TwoStages.left`: rounded up."""
        return math.ceil(present * self.second)

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: distances in frames, between frames, and among roots."""
        return 0.0 if site.kind == "layer" else 6 * grid.tokens_per_frame * present * width.hidden

    def merge(self, tokens: Tensor, span: Span, view: View) -> tuple[Tensor, Tensor]:
        """See `Merger.merge`."""
        frames = tokens.unflatten(0, (span.frames, -1))
        (attention,) = told_by_tower(view)
        weight = attention[span.positions].view(frames.shape[:2]).to(frames) * FACTOR
        means = unit(frames.mean(1))
        parts = []
        for start, stop in segments((means[:-1] * means[1:]).sum(1).cpu(), self.segments, self.cut):
            for part in self._segment(frames[start:stop], weight[start:stop]):
                offset = start * frames.shape[1]
                parts.append(part._replace(slots=part.slots + offset, token=part.token + offset))
        return raster(*rows_of(parts, len(tokens)))

    def _shares(self, size: int) -> tuple[int, int]:
        """Tokens of a frame that are chosen, and its part of the clusters."""
        total = min(size, math.ceil(size * self.ratio * self.expansion))
        chosen = math.ceil(total * self.alpha)
        return chosen, total - chosen

    def _segment(self, frames: Tensor, weight: Tensor) -> list[Part]:
        """What is left of a segment; places count from its first token."""
        chosen, others = self._shares(frames.shape[1])
        if self.version == "v2":
            weight = weight * (frames @ frames.mean(1).mT).mean(-1)
        again = self.version == "v2" and self.variant == "official"
        picks = torch.stack([max_min(x, chosen, again, own) for x, own in zip(frames, weight, strict=True)])
        place = torch.arange(weight.numel()).view(weight.shape)
        parts = [alone(place.gather(1, picks.sort(1).values).flatten())]
        free = torch.ones_like(place, dtype=torch.bool).scatter_(1, picks, False)
        if others and self.tau < 1:
            whole = len(frames) == 1 and self.variant == "official"
            parts += self._clusters(frames, torch.ones_like(free) if whole else free, chosen + others, others)
        return parts

    def _clusters(self, frames: Tensor, free: Tensor, least: int, others: int) -> list[Part]:
        """Clusters of the roots of each frame."""
        root, divisor = self._trees(frames, free, least * len(frames))
        flat = frames.flatten(0, 1)
        merged = torch.zeros_like(flat).index_add_(0, root.to(flat.device), flat) / divisor.to(flat)[:, None]
        roots = (root == torch.arange(len(root))) & free.flatten()
        share = others * len(frames) / max(1, int(roots.sum()))
        parts = []
        for own in (row.nonzero().flatten() + i * free.shape[1] for i, row in enumerate(roots.view_as(free))):
            count = math.ceil(len(own) * share)
            centres = cluster = torch.arange(len(own))
            if count and share < 1:
                centres, cluster = density_peaks(merged[own.to(flat.device)], count, min(count, NEIGHBOURS))
            row = torch.full_like(root, -1).index_put_((own,), cluster)[root]
            member = (row >= 0).nonzero().flatten()
            each = 1 / (divisor[root[member]] * cluster.bincount(minlength=len(centres))[row[member]])
            parts.append(Part(own[centres], member, row[member], each))
        return parts

    def _trees(self, frames: Tensor, free: Tensor, least: int) -> tuple[Tensor, Tensor]:
        """The root of each token of a segment, and by how much the sum at each is divided, both ``(tokens,)``."""
        root, size = torch.arange(free.numel()).view(free.shape), free.shape[1]
        divisor = torch.ones(free.numel(), dtype=torch.long)
        if len(frames) == 1:
            return root.flatten(), divisor
        states, mask = unit(frames), free.to(frames.device)
        alike = (states[1:] @ states[:-1].mT).masked_fill(~(mask[1:, :, None] & mask[:-1, None]), -1)
        best, before = (x.cpu() for x in alike.max(-1))
        moved = best > self.tau
        if free.numel() - int(moved.sum()) < least:
            moved = best > _bound(best, free.numel() - least, size)
        for number, (goes, into) in enumerate(zip(moved, before, strict=True)):
            root[number + 1] = torch.where(goes, root[number][into], root[number + 1])
            if self.variant == "official":
                divisor += (into[goes] + number * size).bincount(minlength=len(divisor))
        divisor = divisor if self.variant == "official" else root.flatten().bincount(minlength=len(divisor))
        return root.flatten(), divisor.clamp_min(1)


def _bound(best: Tensor, room: int, size: int) -> float:
    """The similarity above which fewer than `room` tokens lie, those of the first frame counted as -1."""
    if not room:
        return 1.0
    padded = torch.nn.functional.pad(best.flatten(), (size, 0), value=-1.0)
    return max(float(padded.topk(room).values[-1]), -1 + 1e-6)

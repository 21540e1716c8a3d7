"""FastVID: in each segment of a video keep salient tokens, and merge the others into dense ones of every fourth frame.

Shen et al., "FastVID: Dynamic Density Pruning for Fast Video Large Language Models" (NeurIPS 2025), section 3; official
`modeling_qwen2.py` for LLaVA-OneVision. There, frames are compared, and tokens called salient, by SigLIP's pooling
head, which is in no checkpoint of the models here (``variant=head``). The default is that of the official code for
Qwen2.5-VL: a frame is the mean of its tokens, and salient is what the vision tower attends to. That code's further
threshold is `ignore`; with it, budgets are shared as there. The noise on densities is left out.
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
    ignore : float or None
        Official for Qwen2.5-VL: 0.95, with ``ratio=0.27`` and ``tau=0.84``. In a segment, frames that are at least as
        like their successor keep nothing. The others share the segment's salient tokens, the first ones those that are
        left over; of these frames, from the last, every p-th holds anchors, of which the last has those left over, and
        as many as half a frame at most. An anchor's mean is without itself. None: the rule for LLaVA, above.
    variant : {"tower", "head", "official"}
        By what frames are compared, and what is salient: the means of their tokens and the tower's attention, or the
        vectors of SigLIP's pooling head and where it looks, which is the official code for LLaVA-OneVision.
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
    ignore: float | None = None
    variant: Literal["tower", "head", "official"] = "tower"
    pooling_head: str | None = None
    guide: Guide = "auto"

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        check_checkpoint(self.variant, self.variant != "tower", "pooling_head", self.pooling_head, USUAL)
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
        (told,) = (values[span.positions] for values in told_by_tower(view))
        if self.variant != "tower":
            attention, about = told[:, 0], told[:, 1:].unflatten(0, (span.frames, -1))[:, 0]
        else:
            attention, about = told, frames.mean(1)
        values, alike, parts = attention.view_as(place), _alike(about).cpu(), list[Part]()
        for start, stop in segments(alike, self.segments, self.tau):
            quotas = self._quotas(alike[start : stop - 1], place.shape[1])
            rows = zip(place[start:stop], values[start:stop], quotas, strict=True)
            chosen = torch.stack([_marked(top(value, count), len(row)) for row, value, (count, _) in rows])
            parts.append(alone(place[start:stop][chosen]))
            for frame, (_, anchors) in enumerate(quotas):
                own = place[start + frame, ~chosen[frame]]
                if min(anchors, len(own)):
                    centres = density_peaks(tokens[own.to(tokens.device)], min(anchors, len(own)), NEIGHBOURS)[0]
                    parts.append(self._merged(tokens, own[centres], place[start:stop][~chosen]))
        return raster(*rows_of(parts, len(tokens)))

    def _quotas(self, alike: Tensor, size: int) -> list[tuple[int, int]]:
        """Salient tokens and anchors of each frame of a segment, of whose frames is told how alike neighbours are."""
        length, (salient, context) = len(alike) + 1, self._shares(size)
        if self.ignore is None or self.ratio >= 1:
            each = context * length // -(-length // self.every)
            return [(salient, each if (length - 1 - i) % self.every == 0 else 0) for i in range(length)]
        total = (salient + context) * length
        context = max(int(total * self.context), 1)
        if length == 1:
            return [(total - context, context)]
        ends = [i for i in range(length) if i == length - 1 or float(alike[i]) < self.ignore]
        anchors = dict(zip(ends[:: -self.every], _even(context, -(-len(ends) // self.every)), strict=True))
        held = {i: min(anchors.get(i, 0), size // 2) for i in range(length)}
        picks = dict(zip(ends, _even(total - context, len(ends)), strict=True))
        return [(min(picks.get(i, 0), size - held[i]), held[i]) for i in range(length)]

    def _shares(self, size: int) -> tuple[int, int]:
        """Salient tokens of a frame, and its part of the anchors."""
        total = max(1, int(size * self.ratio))
        context = 0 if self.ratio >= 1 else int(total * self.context)
        return total - context, context

    def _merged(self, tokens: Tensor, anchors: Tensor, members: Tensor) -> Part:
        """The anchors of a frame with the tokens that join them."""
        if self.ignore is not None:
            members = members[~torch.isin(members, anchors)]
        states, ends = (unit(tokens[places.to(tokens.device)]) for places in (members, anchors))
        joined = (states @ ends.mT).argmax(1).cpu()
        count = joined.bincount(minlength=len(anchors))
        own = (1 / (count + 1)).clamp_min(self.beta)
        each = (1 - own) / count.clamp_min(1)
        rows = torch.cat([torch.arange(len(anchors)), joined])
        return Part(anchors, torch.cat([anchors, members]), rows, torch.cat([own, each[joined]]))


def _marked(picks: Tensor, size: int) -> Tensor:
    return torch.zeros(size, dtype=torch.bool).index_fill_(0, picks, True)


def _even(total: int, parts: int) -> list[int]:
    """Whole numbers that differ by one at most, the larger ones first."""
    return [total // parts + (i < total % parts) for i in range(parts)]


def _alike(frames: Tensor) -> Tensor:
    """Cosine of each frame with the next."""
    frames = unit(frames)
    return (frames[:-1] * frames[1:]).sum(1)

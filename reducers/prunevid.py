"""PruneVid: average what stands still in a scene, cluster what is left in each frame; perhaps drop some in the LLM.

Huang et al., "PruneVid: Visual Token Pruning for Efficient Video Large Language Models" (ACL 2025), section 3; official
`modeling_pllava.py`, `llama.py` and `elastic_cache.py`, for PLLaVA alone. The second stage takes the keys of what it
drops out of the caches of the layers before, too: the prompt has seen these tokens there, an answer does not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import check_ratio, sites_of, top
from winnow.reducers.core.clusters import contiguous, density_peaks
from winnow.reducers.core.decoding import StepView
from winnow.reducers.core.greedy import unit
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.matching import group_mean
from winnow.reducers.core.merger import Merger, raster
from winnow.reducers.core.probes import HighestRows, Probe
from winnow.reducers.core.reduction import Positions, Reduction, View
from winnow.reducers.core.released import Released
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower
from winnow.reducers.core.tower_methods import Order

if TYPE_CHECKING:
    from torch import Tensor

NEIGHBOURS, FEW = 7, 14
"""Nearest tokens of a density, and the most tokens that are not clustered."""
TEXT = HighestRows("text")


@dataclass(frozen=True)
class PruneVid(Released, Merger):
    """Merge each span: scenes by density peaks on frame means, then static places, then similar tokens.

    In the second stage each part, the static tokens of a scene or what else its frame has, keeps the share `second`,
    rounded down, of what the text behind it attends to most in the layer before the schedule's: the largest weight over
    heads and rows. Ties go to the lower place, and positions stay.

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
    second : float
        Share of each part that is left from the schedule's layer on. Official: 0.4; 1: the first stage alone.
    decode : {"kept", "all"}
        Which visual tokens an answer reads in the layers before: those that the second stage kept (official), whose
        other keys stay stored all the same, so that it wins no memory there; or all.
    positions : {"compact", "keep", "mean", "restart"}
        Official: compact.
    schedule : K
        Where the second stage acts. Official: behind layer 10 of 32.
    """

    adaptive: ClassVar[bool] = True

    ratio: float = 0.5
    scenes: float = 0.25
    tau: float = 0.8
    order: Order = "official"
    second: float = 1.0
    decode: Literal["kept", "all"] = "kept"
    positions: Positions = "compact"
    schedule: K = K(11, of=32)

    def __post_init__(self) -> None:
        """Check the shares, then the choices."""
        check_ratio(self.scenes, "scenes")
        check_ratio(self.second, "second")
        super().__post_init__()

    def keep_all(self) -> PruneVid:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0, tau=2.0, second=1.0)

    def knobs(self, depth: int) -> dict[str, object]:
        """See `Reducer.knobs`; without the second stage its numbers say nothing."""
        idle = ("decode", "schedule") if self.second >= 1 else ()
        return {name: value for name, value in super().knobs(depth).items() if name not in idle}

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        later = sites_of(self.schedule, depth) if self.second < 1 else ()
        reads = (Site.decode(0, depth),) if later and self.decode == "kept" else ()
        return (*super().sites(depth), *later, *reads)

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`: of the layer before the second stage."""
        return tuple((TEXT, site.number - 1) for site in self.sites(depth) if site.kind == "layer")

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: an estimate, of a video in which nothing stands still."""
        each = self._clusters(grid.tokens_per_frame)
        return min(present, grid.frames * (each if site.kind == "entrance" else int(each * self.second)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: distances inside frames and between them, then sums."""
        if site.kind != "entrance":
            return 0.0
        return (2 * grid.frames * grid.tokens_per_frame**2 + 2 * grid.frames**2 + 6 * present) * width.hidden

    def reduce(self, view: View | StepView) -> Reduction | None:
        """Merge at the entrance, drop inside the LLM; while decoding, read what is left."""
        if isinstance(view, StepView):
            return None if view.told is None else Reduction(view.told)
        if view.site.kind == "layer":
            return self._drop(view)
        answer = super().reduce(view)
        return answer if self.second >= 1 else replace(answer or Reduction(view.visual), told=_parts(view, answer))

    def _drop(self, view: View) -> Reduction:
        """Keep the same share of every part."""
        score, part = view.signals[TEXT, view.layer - 1][view.visual], view.told[view.visual]
        members = [(part == number).nonzero().flatten() for number in part.unique()]
        kept = [view.visual[here[top(score[here], int(len(here) * self.second))]] for here in members]
        left = torch.cat([view.visual[:0], *kept]).sort().values
        return Reduction(left, told=left)

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


def _parts(view: View, answer: Reduction | None) -> Tensor:
    """Which part each token that entered is of, on the prompt axis; static tokens are merged over a scene's frames."""
    starts = [0, *accumulate(span.frames for span in view.layout.spans)]
    frame = torch.cat(
        [
            start + torch.arange(span.frames).repeat_interleave(len(span) // span.frames)
            for start, span in zip(starts, view.layout.spans, strict=False)
        ]
    )
    first = last = frame
    if answer is not None and answer.weights is not None:
        row, token = answer.weights.coalesce().indices()
        first, last = (
            frame.new_zeros(len(answer.keep)).scatter_reduce(0, row, frame[token], how, include_self=False)
            for how in ("amin", "amax")
        )
    part = torch.full((view.layout.length,), -1)
    part[view.visual if answer is None else answer.keep] = first * starts[-1] + last
    return part

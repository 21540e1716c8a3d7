"""HoliTom: cut a video where that saves most static tokens, merge these, keep the attended of the others.

Shao et al., "HoliTom: Holistic Token Merging for Fast Video Large Language Models" (NeurIPS 2025); official
`llava_arch.py` and `modeling_qwen2.py`. The released default ``D=0`` merges nothing among the tokens of a single frame,
and its code stops where D is larger. The switch NO_BETA is printed as on and read as off: centres weigh `beta`. The
ratio that static tokens raise is each span's own, where the released code goes on with that of the video before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

import torch

from winnow.reducers.core.base import check_ratio, top
from winnow.reducers.core.clusters import density_peaks
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import unit
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.matching import sparse
from winnow.reducers.core.merger import Part, TwoStages, alone, raster, rows_of, told_by_tower
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.released import Released
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower_methods import Order

if TYPE_CHECKING:
    from torch import Tensor

NEIGHBOURS = 7
"""Nearest tokens of a density, or as many as there are clusters."""


@dataclass(frozen=True)
class HoliTom(Released, TwoStages):
    """Merge what stands still in windows of frames, and keep a share of the rest; inside the LLM merge half once more.

    A place is static in a window if its cosine from each frame to the next is above `tau`. Windows are those that save
    most: the number of static places times the frames but one; equal ones are decided for the later, shorter windows.
    What is saved raises the share of what stays. Static tokens are averaged over the window, then clustered by density
    peaks; so are dynamic ones, if D > 0. A centre is ``beta`` itself and else the mean of its others.

    Parameters
    ----------
    ratio : float
        Share of a span's tokens that enters the LLM; of dynamic tokens rounded up in each frame, of clusters rounded.
    tau : float
        Official: 0.8, 0.65 at 10 %.
    beta : float
        Weight of a centre; 1: its others are lost.
    D : float
        Share of a frame's budget that is clustered instead of chosen by attention.
    second : float
        Share that is left from the schedule's layer on; 1: the outer stage alone. Each token that goes is added to its
        most similar one that stays, one by one: ``(kept + gone) / 2``, so that the last weighs one half.
    guide : {"auto", "cls", "mean"}
        Whose attention in the tower: official the mean over all patches' (SigLIP).
    order : {"official", "raster"}
        A window's static tokens, then each frame's, chosen before clustered; or each at its place, static ones in the
        window's first frame, as official for LLaVA-Video.
    positions : {"compact", "keep", "mean", "restart"}
        Of the outer stage; the inner one keeps them.
    schedule : K
        Where the inner stage acts. Official: layer 18 of 28.
    """

    adaptive: ClassVar[bool] = True

    tau: float = 0.8
    beta: float = 0.6
    D: float = 0.0
    second: float = 0.5
    order: Order = "official"
    schedule: K = K(18, of=28)

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        check_ratio(self.beta, "beta")
        if not 0 <= self.D <= 1:
            raise WinnowError(f"reducer.D={self.D} is not allowed: choose a share, 0 <= D <= 1")
        super().__post_init__()

    def entering(self, grid: Grid) -> int:
        """See `TwoStages.entering`: of a video in which nothing stands still."""
        return grid.frames * math.ceil(grid.tokens_per_frame * self.ratio)

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: cosines between frames and a clustering in each; inside, of all that goes."""
        if site.kind == "layer":
            return 2 * self.left(present) * (present - self.left(present)) * width.hidden
        return (6 + 2 * grid.tokens_per_frame) * present * width.hidden

    def merge(self, tokens: Tensor, span: Span, view: View) -> tuple[Tensor, Tensor]:
        """See `Merger.merge`."""
        frames, place = tokens.unflatten(0, (span.frames, -1)), torch.arange(len(tokens)).view(span.frames, -1)
        still = ((unit(frames)[:-1] * unit(frames)[1:]).sum(-1) > self.tau).cpu()
        cuts, saved = windows(still, span.frames)
        share = min(1.0, self.ratio / ((len(tokens) - saved) / len(tokens)))
        (attention,) = told_by_tower(view)
        parts = []
        for start, stop in pairwise(cuts):
            static = still[start : stop - 1].all(0) & (stop - start > 1)
            count = round(int(static.sum()) * share)
            parts.append(self._clustered(frames[start:stop].mean(0), place[start:stop, static], count))
            for frame in range(start, stop):
                parts += self._dynamic(frames[frame], place[frame, ~static], attention[span.positions], share)
        merged = rows_of(parts, len(tokens))
        return raster(*merged) if self.order == "raster" else merged

    def _dynamic(self, frame: Tensor, places: Tensor, attention: Tensor, share: float) -> list[Part]:
        """What is chosen among the dynamic tokens of a frame, and what is clustered."""
        total = math.ceil(len(places) * share)
        chosen = top(attention[places], round(total * (1 - self.D)))
        rest = torch.ones(len(places), dtype=torch.bool).index_fill_(0, chosen, False)
        return [alone(places[chosen]), self._clustered(frame, places[None, rest], total - len(chosen))]

    def _clustered(self, frame: Tensor, places: Tensor, count: int) -> Part:
        """Clusters of some places, ``(frames, places)``, of which the frames' means are given for all places."""
        if not count:
            return alone(places[:0].flatten())
        states = frame[(places[0] % len(frame)).to(frame.device)]
        centres, cluster = density_peaks(states, count, min(NEIGHBOURS, count), raster=True)
        size = cluster.bincount(minlength=count)
        weight = ((1 - self.beta) / (size - 1).clamp_min(1))[cluster]
        weight[centres] = torch.where(size > 1, self.beta, 1.0)
        spread = (weight / len(places)).repeat(len(places))
        return Part(places[0, centres], places.flatten(), cluster.repeat(len(places)), spread)

    def drop(self, view: View) -> Reduction:
        """See `TwoStages.drop`: what goes is merged, one by one."""
        keep = super().drop(view).keep
        stays = torch.isin(view.visual, keep)
        states = unit(view.visual_hidden.float())
        kept, gone = stays.nonzero().flatten(), (~stays).nonzero().flatten()
        rank = view.signals[self.ranks(view.layer)][keep].argsort(descending=True, stable=True).cpu()
        near = (states[gone.to(states.device)] @ states[kept[rank].to(states.device)].mT).argmax(1).cpu()
        into = rank[near]  # of equally similar ones the most attended, which is first in the official list
        size, by = into.bincount(minlength=len(kept)), into.argsort(stable=True)
        before = torch.empty_like(by).index_put_((by,), torch.arange(len(by)) - (size.cumsum(0) - size)[into[by]])
        weight = 0.5 ** torch.cat([size, size[into] - before])
        entries = torch.stack([torch.cat([torch.arange(len(kept)), into]), torch.cat([kept, gone])])
        return Reduction(keep, sparse(entries, weight, (len(kept), len(stays))), "keep")


def windows(still: Tensor, frames: int) -> tuple[list[int], int]:
    """Where to cut so that windows save most: the cuts from 0 to `frames`, and the tokens that are saved.

    `still` says which places hardly change from a frame to the next, shape ``(frames - 1, places)``.
    """
    best, start = [0] * frames, [0] * frames
    running = torch.zeros(0, still.shape[1], dtype=torch.bool)
    for last in range(frames):
        if last:
            running = torch.cat([running, torch.ones_like(still[:1])]) & still[last - 1]
        gain = (running.sum(1) * torch.arange(last, 0, -1)).tolist()
        best[last], start[last] = best[last - 1] if last else 0, last
        for first in range(last - 1, -1, -1):
            value = gain[first] + (best[first - 1] if first else 0)
            if value > best[last]:
                best[last], start[last] = value, first
    cuts = [frames]
    while cuts[-1]:
        cuts.append(start[cuts[-1] - 1])
    return cuts[::-1], best[-1]

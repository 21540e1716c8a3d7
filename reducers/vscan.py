"""VScan: keep patches that a shallow block attends to in each window and a deep one overall, merge the rest into them.

Zhang et al., "VScan: Rethinking Visual Token Reduction for Efficient Large Vision-Language Models" (TMLR 2026);
official code for LLaVA-1.5. Inside the LLM a second stage keeps what the last token of the prompt will attend to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from winnow.reducers.core.base import top
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import unit
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.matching import group_mean
from winnow.reducers.core.merger import TwoStages, told_by_tower
from winnow.reducers.core.probes import LookAhead, Probe
from winnow.reducers.core.reduction import View
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerProbe
from winnow.reducers.core.tower_methods import guide_probe

if TYPE_CHECKING:
    from torch import Tensor

SHALLOW = 5 / 24
"""Depth of the block whose attention picks in windows."""


@dataclass(frozen=True)
class VScan(Released, TwoStages):
    """Scan each frame twice at the entrance, then drop once inside the LLM.

    Half of a frame's budget, rounded down, is shared by its windows, rounded down again, and goes to the patches that a
    shallow block attends to most; the other half to those that the block of the features attends to most among the
    rest. Every other token joins the kept one with the most similar embedding by cosine; a kept token becomes the mean
    of its group. Ties go to the lower place. LLaVA-NeXT's tiles, whose second stage the official code counts as one,
    and Qwen2.5-VL, where windows cap a greedy choice, are not part of this.

    Parameters
    ----------
    ratio : float
        Share of each frame's tokens that enters the LLM. Paper: 96 of 576, with a third of them left in the second
        stage.
    second : float
        Share of these that is left from the schedule's layer on, by the last prompt token's attention there; 1: all.
    windows : int
        Windows along each side of a frame.
    counts : {"official", "exact"}
        What windows round away is lost (half of 100 is 48 in 16 windows), as in the official code, which stops below
        one patch a window; or the deep block picks it.
    guide : {"auto", "cls", "mean"}
        Whose attention in the tower: the CLS token's, the mean over all patches', or CLS where there is one.
    positions : {"compact", "keep", "restart"}
        Official: compact, in both stages.
    schedule : K
        Where the second stage acts. Paper: the middle, layer 16 of 32.
    """

    ratio: float = 0.16666666666666666  # 96 of 576
    second: float = 0.3333333333333333
    windows: int = 4
    counts: Literal["official", "exact"] = "official"

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        if self.windows < 1:
            raise WinnowError(f"reducer.windows={self.windows} is not allowed: choose 1 or more along each side")
        super().__post_init__()

    def ranks(self, layer: int) -> tuple[Probe, int]:
        """See `TwoStages.ranks`."""
        return LookAhead(), layer

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`: the shallow block, then that of the features."""
        probe = guide_probe(self.guide, tower)
        return (probe, min(int(tower.blocks * SHALLOW), tower.used - 1)), (probe, tower.used - 1)

    def entering(self, grid: Grid) -> int:
        """See `TwoStages.entering`."""
        return grid.tokens if self.ratio >= 1 else grid.frames * sum(self._shares(grid))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: each token against the kept ones of its frame, then sums."""
        return 0.0 if site.kind == "layer" else 2 * present * (sum(self._shares(grid)) + 1) * width.hidden

    def merge(self, tokens: Tensor, span: Span, view: View) -> tuple[Tensor, Tensor]:
        """See `Merger.merge`."""
        frames = tokens.unflatten(0, (span.frames, -1))
        place = torch.arange(len(tokens)).view(span.frames, -1)
        shallow, *_, deep = (row[span.positions].view_as(place) for row in told_by_tower(view) * 2)
        crops = _crops(span.grid, self.windows)
        kept = [self._kept(span.grid, crops, *rows) for rows in zip(shallow, deep, strict=True)]
        ends = [own[picks[_nearest(frame, picks)]] for own, picks, frame in zip(place, kept, frames, strict=True)]
        slots, group = torch.cat(ends).unique(return_inverse=True)
        return slots, group_mean(group, len(slots))

    def _shares(self, grid: Grid) -> tuple[int, int]:
        """Tokens of a frame that the windows pick, and that the deep block picks."""
        total = max(1, round(grid.tokens_per_frame * self.ratio))
        crops, half = len(_crops(grid, self.windows)), total // 2
        local = half // crops * crops
        return local, total - (local if self.counts == "exact" else half)

    def _kept(self, grid: Grid, crops: list[Tensor], shallow: Tensor, deep: Tensor) -> Tensor:
        """Places of a frame that stay, ascending."""
        local, rest = self._shares(grid)
        picked = torch.cat([crop[top(shallow[crop], local // len(crops))] for crop in crops])
        kept = torch.zeros(len(deep), dtype=torch.bool).index_fill_(0, picked, True)
        kept[top(deep.masked_fill(kept, -1), rest)] = True
        return kept.nonzero().flatten()


def _nearest(frame: Tensor, picks: Tensor) -> Tensor:
    """Which of the picks each token of a frame joins; a pick joins itself."""
    near = (unit(frame) @ unit(frame[picks.to(frame.device)]).mT).argmax(1).cpu()
    near[picks] = torch.arange(len(picks))
    return near


def _crops(grid: Grid, windows: int) -> list[Tensor]:
    """Places of a frame in each window, windows in raster order; sizes differ by one row or column at most."""
    cells = torch.arange(grid.rows * grid.cols).view(grid.rows, grid.cols)
    rows = cells.tensor_split(min(windows, grid.rows))
    return [part.flatten() for row in rows for part in row.tensor_split(min(windows, grid.cols), dim=1)]

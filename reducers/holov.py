"""HoloV: share the budget among runs of tokens by attention and variety, keep the attended ones of each run.

Zou et al., "Don't Just Chase Highlighted Tokens in MLLMs: Revisiting Visual Holistic Context Retention" (NeurIPS 2025);
official `llava/model/utils.py`. The paper's crops are windows of a picture, the code's are runs of the raster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.entrance import Chooser, Variant
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.reduction import View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerProbe
from winnow.reducers.core.tower_methods import Guide, Order, guide_probe

if TYPE_CHECKING:
    from torch import Tensor

ALPHA, SCALE, EPSILON = 0.09, 1000, 1e-6
"""Weight of variety, factor on attention, and what the code adds where it divides."""


@dataclass(frozen=True)
class HoloV(Chooser):
    """Choose among the tokens of each frame by the attention of the tower's block that yields the features.

    A run scores the mean over its tokens of attention x 1000 plus 0.09 times how much a token's cosines to the run vary
    (the zero on the diagonal takes part), scaled to the size of the attention; a run of one token its bare attention.
    A run's share of the scores is its part of the budget, rounded down; what is left goes to the largest shares, one
    each. Ties go to the lower place.

    Parameters
    ----------
    ratio : float
        Share of each frame's tokens that enters the LLM. Official: 64 of 576.
    runs : int
        Runs of a frame, whose sizes differ by one at most.
    guide : {"auto", "cls", "mean"}
        Whose attention: the CLS token's, the mean over all patches', or CLS where there is one.
    variant : {"mended", "official"}
        The official code fills up with zero vectors what runs were given beyond their size. Mended: that goes to the
        runs with room, one each by falling share, again and again.
    order : {"official", "raster"}
        Run by run, by falling attention where some of a run's tokens go; or raster.
    positions : {"compact", "keep"}
        Official: compact.
    """

    by_frame: ClassVar[bool] = True

    ratio: float = 0.1111111111111111  # 64 of 576
    runs: int = 16
    guide: Guide = "auto"
    variant: Variant = "mended"
    order: Order = "official"
    positions: Literal["keep", "compact"] = "compact"

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        if self.runs < 1:
            raise WinnowError(f"reducer.runs={self.runs} is not allowed: choose 1 or more")
        super().__post_init__()

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        return ((guide_probe(self.guide, tower), tower.used - 1),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return min(present, grid.frames * self._kept(grid.tokens_per_frame))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: all pairs of a run."""
        return 2 * present * (grid.tokens_per_frame / self.runs) * width.hidden

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """See `Chooser.choose`."""
        ((_, attention),) = ((key, row) for key, row in view.signals.items() if isinstance(key[0], TowerProbe))
        frames = tokens.unflatten(0, (span.frames, -1))
        values = attention[span.positions].to(frames.dtype).unflatten(0, (span.frames, -1))
        size = frames.shape[1]
        runs = torch.arange(size).tensor_split(min(self.runs, size))
        shares = _scores(frames, values.to(frames.device), runs).cpu()
        chosen = [self._frame(runs, *about) for about in zip(shares, values, strict=True)]
        return torch.cat([picks.where(picks < 0, picks + i * size) for i, picks in enumerate(chosen)])

    def _kept(self, size: int) -> int:
        return max(1, round(size * self.ratio))

    def _frame(self, runs: Sequence[Tensor], share: Tensor, attention: Tensor) -> Tensor:
        """Places in a frame, -1 for zero vectors."""
        share = share / (share.sum() + EPSILON)
        total = self._kept(len(attention))
        given = self._allocated(share, [len(run) for run in runs], total)
        picks = torch.cat([_attended(run, attention, count) for run, count in zip(runs, given, strict=True)])
        if self.order == "raster":
            picks = picks.sort().values
        return torch.nn.functional.pad(picks, (0, total - len(picks)), value=-1)

    def _allocated(self, share: Tensor, sizes: list[int], total: int) -> list[int]:
        """Tokens that each run keeps."""
        rank = share.sort(descending=True, stable=True).indices.tolist()
        given = (share * total).floor().long().tolist()
        for run in rank[: total - sum(given)]:
            given[run] += 1
        given = [min(count, size) for count, size in zip(given, sizes, strict=True)]
        while self.variant == "mended" and sum(given) < total:
            room = [run for run in rank if given[run] < sizes[run]]
            for run in room[: total - sum(given)]:
                given[run] += 1
        return given


def _scores(frames: Tensor, attention: Tensor, runs: Sequence[Tensor]) -> Tensor:
    """What the runs' shares of the budget come from, ``(frames, runs)``; the longer runs come first."""
    longer = sum(len(run) > len(runs[-1]) for run in runs)
    cut = longer * len(runs[0])
    unit = frames / (frames.norm(dim=-1, keepdim=True) + EPSILON)
    parts = [(unit[:, :cut], attention[:, :cut], longer), (unit[:, cut:], attention[:, cut:], len(runs) - longer)]
    return torch.cat([_of_equal(*part) for part in parts if part[2]], 1)


def _of_equal(unit: Tensor, attention: Tensor, number: int) -> Tensor:
    """Scores of runs of equal length, of tokens of length one, ``(frames, number)``."""
    unit, attention = (x.unflatten(1, (number, -1)) for x in (unit, attention))
    others = unit.shape[2] - 1
    if not others:
        return attention[..., 0]
    alike = unit @ unit.mT
    alike.diagonal(dim1=2, dim2=3).zero_()
    mean = alike.sum(-1, keepdim=True) / others
    varied = (alike - mean).square().sum(-1) / others
    attended = attention * SCALE
    scale = attended.abs().mean(-1) / (varied.abs().mean(-1) + EPSILON)
    return (attended + ALPHA * varied * scale[..., None]).mean(-1)


def _attended(run: Tensor, attention: Tensor, count: int) -> Tensor:
    """The `count` places of a run that are attended most, the most attended first; all of them in raster order."""
    if count >= len(run):
        return run
    return run[attention[run].sort(descending=True, stable=True).indices[:count]]

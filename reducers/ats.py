"""ATS: sample the tokens that stay from the distribution of their significance, inside the vision tower.

Fayyaz et al., "Adaptive Token Sampling for Efficient Vision Transformers" (ECCV 2022), section 3; official
`ats_block.py`. At inference the inverse transform sampling is a fixed grid of levels, so nothing is random. A token
that is not sampled still is a key of the block's attention, and its own row goes: the reduction behind the attention.
The official ImageNet model samples in blocks 3 to 11 of 12; here at three depths, as the other methods of
LLaVA-PruMerge's Table 7. Two things of the official code are left out: tokens ascend by patch, not by score (only an
LLM could tell), and softmax has no epsilon of 1e-6.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerProbe, TowerValues, TowerView
from winnow.reducers.core.tower_methods import Cutter, guide_probe

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ATS(Released, Cutter):
    """Score patches by CLS attention times the norm of their value; keep those nearest to equally spaced quantiles.

    Parameters
    ----------
    ratio : float
        Share of a frame's tokens that is sampled at most, reached by equal cuts. Levels that meet in one patch leave
        fewer, so the share that leaves the tower depends on the picture.
    n : int or None
        The official knob: ``n - 1`` levels at every place; wins over `ratio`.
    least : int
        The official lower bound of `n`.
    candidates : {"official", "all"}
        With fewer levels than patches the official code only looks at as many of the highest scores; the paper at all.
    """

    native: ClassVar[tuple[str, ...]] = ("n",)

    adaptive: ClassVar[bool] = True

    ratio: float = 0.25
    n: int | None = None
    least: int = 8
    candidates: Literal["official", "all"] = "official"

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        for name, value in (("n", self.n), ("least", self.least)):
            if value is not None and value < 2:
                raise WinnowError(
                    f"reducer.{name}={value} is not allowed: choose 2 or more, which is one level or more"
                )
        super().__post_init__()

    def keep_all(self) -> ATS:
        """See `Reducer.keep_all`."""
        return replace(self, n=None, ratio=1.0)

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        guides = super().tower_probes(tower)
        return tuple(pair for guide, block in guides for pair in ((guide, block), (TowerValues(), block)))

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: the most that can be left."""
        return min(present, self._levels(site))

    def reduce(self, view: TowerView) -> Reduction | None:
        """Sample once, unless the ratio leaves a level for every patch."""
        levels = self._levels(view.site)
        if self.n is None and levels >= len(view.index):
            return None
        attention = view.signals[guide_probe(self.guide, view.tower), view.block].float().cpu()
        norm = view.signals[TowerValues(), view.block].float().flatten(1).norm(dim=1).cpu()
        return Reduction(view.index[sample(attention * norm, levels, self.candidates == "official")])

    def _levels(self, site: Site) -> int:
        if self.n is not None:
            return max(self.n, self.least) - 1
        return self.equal_cut(site, self.ratio)


def sample(score: Tensor, levels: int, best_only: bool) -> Tensor:
    """Where a grid of levels meets the cumulative distribution of the scores (paper section 3.2).

    Parameters
    ----------
    score : Tensor
        Not negative, of any sum, shape ``(n,)``; if nothing scores, all count the same.
    levels : int
        Equally spaced from 1 down to the smallest positive value of the distribution, which is scaled to [0, 1].
    best_only : bool
        Only the `levels` highest scores may be met.

    Returns
    -------
    Tensor
        Indices, ascending and without repetition, between one and `levels` of them.
    """
    if len(score) == 1:
        return torch.zeros(1, dtype=torch.long)
    score = score.double() if score.sum() > 0 else torch.ones(len(score), dtype=torch.double)
    ascending = score.sort(stable=True)
    cdf = ascending.values.cumsum(0)
    cdf = (cdf - cdf[0]) / (cdf[-1] - cdf[0])
    grid = torch.linspace(1.0, float(cdf[cdf > 0][0]), levels, dtype=torch.double)
    skipped = max(0, len(score) - levels) if best_only else 0
    met = (grid[:, None] - cdf[skipped:]).abs().argmin(1) + skipped
    return ascending.indices[met.unique()].sort().values

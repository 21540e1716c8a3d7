"""FiCoCo-V: in the later blocks of the vision tower, share redundant patches out among those that they attend to.

Han et al., "Filter, Correlate, Compress: Training-Free Token Reduction for MLLM Acceleration" (AAAI 2026); official
`FiCoCo_V.py` and `clip_encoder.py` for LLaVA-1.5, where a switch turns it off. The official code takes the mean of the
attention over all pictures of a batch, and hands its map of windows on from one picture to the next; here each picture
stands alone (``state=reset``).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple, Self

import torch

from winnow.reducers.core.entrance import Variant
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.matching import largest, sparse
from winnow.reducers.core.pooling import Window, lowest
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import JoinedHeads, Tower, TowerProbe, TowerView
from winnow.reducers.core.tower_methods import TowerReducer, arrange

if TYPE_CHECKING:
    from torch import Tensor

WINDOW: Window = (1, 2, 2)
UNSEEN = 1e9
"""The score of a cell of the official map that no token has stood on."""


class Shares(NamedTuple):
    """Which row takes how much of which patch, each of shape ``(entries,)``."""

    row: Tensor
    patch: Tensor
    weight: Tensor


@dataclass(frozen=True)
class FiCoCoV(TowerReducer):
    """Between attention and MLP, the patches with the lowest scores are added to some that stay, by their attention.

    Scores come from attention before the softmax, mean over heads: `alpha` times that of the CLS token (nothing where
    there is none) minus 1 - alpha times what the patch pays to all patches on average, both of length one over the
    patches. In every 2x2 window of the picture the lowest score is halved if positive, else doubled, so that patches go
    from everywhere. A patch goes to those that it attends to most, by softmax, as many as any of these patches pays
    more than its quantile; each sum is divided by its weights. Ties go to the lower place.

    Parameters
    ----------
    ratio : float
        Share of a frame's tokens that leaves the tower, by as many merges in each block. Official: 114 of 576.
    r : int or None
        The official knob, patches merged away in each block; wins over `ratio`. Official: 42.
    start : float
        Depth of the first block that merges, as a share of the tower's. Official: the thirteenth of 24.
    alpha : float
        Weight of the CLS token's attention.
    quantile : float
        Of a patch's attention to all that it may go to.
    variant : {"mended", "official"}
        Officially windows are those of the places in the list of the tokens that are left, on a map without the lowest
        of every window of the blocks before; a patch may go to itself, to the CLS token and to others that are merged
        away; and what it goes to is counted before the list is put in order of scores, in which it stands from then
        on. What the official code adds to the CLS token, and that it stands last in its list, where the next block
        takes the first for it, cannot be had here, where methods have no say in it. Mended: windows of the picture,
        partners among the patches that stay, each at its own place.
    """

    native: ClassVar[tuple[str, ...]] = ("r",)

    ratio: float = 0.19791666666666666  # 114 of 576
    r: int | None = None
    start: float = 0.5
    alpha: float = 0.35
    quantile: float = 0.998
    variant: Variant = "mended"

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        if self.r is not None and self.r < 0:
            raise WinnowError(f"reducer.r={self.r} is not allowed: choose 0 or more tokens per block")
        if not 0 <= self.start < 1 or not 0 <= self.alpha <= 1 or not 0 <= self.quantile <= 1:
            numbers = f"start={self.start}, alpha={self.alpha} or quantile={self.quantile}"
            raise WinnowError(f"reducer.{numbers} is not allowed: choose shares from 0 to 1, and a start below 1")
        super().__post_init__()

    def keep_all(self) -> Self:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0, r=None)

    def blocks(self, tower: Tower) -> tuple[int, ...]:
        """See `TowerReducer.blocks`: from the first on, as far as the features pass them."""
        return tuple(range(int(self.start * tower.blocks), tower.used))

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        return tuple((JoinedHeads(), block) for block in self.blocks(tower))

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: at least one token."""
        blocks, tower = self.blocks(site.vision), site.vision
        left = max(1, round(tower.patches * tower.share(self.ratio)))
        merged = -(-(present - left) // (len(blocks) - blocks.index(site.number))) if self.r is None else self.r
        return max(1, present - max(0, merged))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: two logits of each token, all of those that go, and sums."""
        return (4 * present + (2 * present + 4) * (present - self.count(site, grid, present))) * width.hidden

    def reduce(self, view: TowerView) -> Reduction | None:
        """Share out the lowest."""
        present = len(view.index)
        gone = present - self.count(view.site, view.tower.grid, present)
        if not gone:
            return None
        own, score = view.index if view.own is None else view.own, self._score(view)
        told: Tensor | None = None
        if self.variant == "mended":
            first = lowest(score, own, view.tower.grid, WINDOW)
        else:
            told, first = _on_the_map(view.told, score, view.tower.grid)
        score[first] = torch.where(score > 0, score / 2, score * 2)[first]
        rank = score.sort(stable=True).indices
        goes, left = rank[:gone], rank[gone:]
        left = left.sort().values if self.variant == "mended" else left
        into = self._into(view, goes, left)
        row, token = torch.cat([torch.arange(len(left)), into.row]), torch.cat([left, into.patch])
        value = torch.cat([torch.ones(len(left)), into.weight.float()])
        total = torch.zeros(len(left)).index_add_(0, row, value)
        weights = sparse(torch.stack([row, token]), value / total[row], (len(left), present))
        answer = arrange(weights, view.index[left], "official")  # mended: in raster order anyway
        return replace(answer, own=own[left], told=told)

    def _score(self, view: TowerView) -> Tensor:
        """How little redundant each token is, ``(present,)``."""
        query, key = view.signals[JoinedHeads(), view.block]
        first = int(view.tower.cls)
        paid = query[first:] @ key[first:].sum(0)
        asked = key[first:] @ query[0] if first else torch.zeros_like(paid)
        asked, paid = (torch.nn.functional.normalize(values.double().cpu(), dim=0) for values in (asked, paid))
        return self.alpha * asked - (1 - self.alpha) * paid

    def _into(self, view: TowerView, goes: Tensor, left: Tensor) -> Shares:
        """Which of those that are left take what of those that go."""
        (query, key), cls = view.signals[JoinedHeads(), view.block], int(view.tower.cls)
        logits = (query[(goes + cls).to(query.device)] @ key.mT).cpu()
        if self.variant == "mended":
            return _shared(logits[:, left + cls], goes, self.quantile)
        into = _shared(logits, goes, self.quantile)  # places among all tokens, the CLS token in front
        row = torch.where(into.row >= len(left) + cls, into.row - len(goes), into.row)  # and yet taken for rows
        own = (row >= 0) & (row < len(left))  # behind them stands the CLS token; in front the code stops with an error
        return Shares(row[own], into.patch[own], into.weight[own])


def _shared(logits: Tensor, patches: Tensor, quantile: float) -> Shares:
    """How some patches are shared out among others, by their logits on these, ``(patches, others)``."""
    others = logits.shape[1]
    place = quantile * (others - 1)
    low = int(place)
    high = min(low + 1, others - 1)
    values, places = largest(logits, others - low)  # nothing below can exceed the quantile
    values = values.double()
    under, over = values[:, others - 1 - low], values[:, others - 1 - high]
    bound = under + (place - low) * (over - under)
    each = int((values > bound[:, None]).sum(1).max())
    return Shares(places[:, :each].flatten(), patches.repeat_interleave(each), values[:, :each].softmax(1).flatten())


def _on_the_map(cells: Tensor | None, score: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """The map without what it has lost to this block, and which tokens it takes for the lowest of a window.

    Parameters
    ----------
    cells : Tensor or None
        The map that the block before left, ``(patches,)``; None: there was none.
    score : Tensor
        Of the tokens present, which fill its cells in their order.
    grid : Grid
        One frame.
    """
    cells = score.new_full((grid.tokens,), UNSEEN) if cells is None else cells.clone()
    free = (cells < math.inf).nonzero().flatten()[: len(score)]
    cells[free] = score[: len(free)]
    first = lowest(cells, torch.arange(grid.tokens), grid, WINDOW)
    first = first[first < len(score)]
    cells[first] = math.inf
    return cells, first

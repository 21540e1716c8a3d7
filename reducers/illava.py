"""iLLaVA: in some blocks of the vision tower, and once in the LLM, merge the least attended tokens into one of them.

Hu et al., "iLLaVA: An Image is Worth Fewer Than 1/3 Input Tokens in Large Multimodal Models" (arXiv 2412.06263);
official `siglip_encoder.py` and `modeling_qwen2.py` for LLaVA-OneVision. Its pictures merge in the tower's blocks 5 to
8 of 26 and in front of layer 8 of 28, its videos in blocks 3 to 6 and in front of layer 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch

from winnow.reducers.core.base import check_ratio, sites_of
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.matching import block_diagonal, sparse
from winnow.reducers.core.probes import Probe, Rows
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.released import Released
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerView
from winnow.reducers.core.tower_methods import Cutter, guide_probe

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class ILLaVA(Released, Cutter):
    """Rank by what tokens receive: in the tower from all patches, in the LLM from the prompt's last token.

    The r + 1 lowest become one token at the place of the highest of them, whose weights fall with the rank: the lowest
    weighs r + 1, the highest 1, of their sum. Each span is merged by itself; newlines, which the official code merges
    as well, are text here. Where a model pools behind its tower, the official code pools what is left as if it were a
    smaller picture; here it goes on as it is.

    Parameters
    ----------
    ratio : float
        Share of a frame's tokens that leaves the tower, by as many merges in each block. Official: 361 of 729.
    r : int or None
        The official knob, tokens merged away in each block; wins over `ratio`. Official: 92.
    second : float
        Share of these that is left from the schedule's layer on; 1: all.
    guide : {"auto", "cls", "mean"}
        Official, on a tower without CLS token: mean; auto is the CLS token's attention where there is one.
    weights : {"rank", "attention"}
        ``rank``: as above (official). ``attention``: each token by what it receives (the paper's words).
    schedule : K
        The LLM's layer. Official: 8 of 28, for videos 2.
    """

    native: ClassVar[tuple[str, ...]] = ("r",)

    at: Sequence[float] = (0.2, 0.24, 0.28, 0.31)
    ratio: float = 0.5
    r: int | None = None
    second: float = 0.7
    weights: Literal["rank", "attention"] = "rank"
    schedule: K = K(8, of=28)

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        check_ratio(self.second, "second")
        if self.r is not None and self.r < 0:
            raise WinnowError(f"reducer.r={self.r} is not allowed: choose 0 or more tokens per block")
        super().__post_init__()

    def keep_all(self) -> Self:
        """See `Reducer.keep_all`."""
        everything: dict[str, Any] = {"ratio": 1.0, "r": None, "second": 1.0}
        return replace(self, **everything)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return (*super().sites(depth, tower), *(sites_of(self.schedule, depth) if self.second < 1 else ()))

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`: the layer before."""
        return tuple((Rows("last"), site.number - 1) for site in self.sites(depth))

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        if not site.in_tower:
            return present - min(round(present * (1 - self.second)), max(0, present - 1))
        blocks = self.blocks(site.vision)
        left = max(1, round(site.vision.patches * site.vision.share(self.ratio)))
        merged = -(-(present - left) // (len(blocks) - blocks.index(site.number))) if self.r is None else self.r
        return max(1, present - max(0, merged))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: one sum."""
        return 2 * (present - self.count(site, grid, present) + 1) * width.hidden

    def reduce(self, view: TowerView | View) -> Reduction | None:
        """Merge in a frame, or in each span."""
        if isinstance(view, TowerView):
            attention = view.signals[guide_probe(self.guide, view.tower), view.block].float().cpu()
            kept, rows = self._merged(attention, self.count(view.site, view.tower.grid, len(view.index)))
            return None if len(kept) == len(view.index) else Reduction(view.index[kept], rows)
        attention, keep, parts = view.signals[Rows("last"), view.layer - 1], [], []
        for span in view.layout.spans:
            here = span.positions[view.present(span)]
            kept, rows = self._merged(attention[here].float().cpu(), self.count(view.site, span.grid, len(here)))
            keep.append(here[kept])
            parts.append(rows)
        left = torch.cat(keep)
        return None if len(left) == len(view.visual) else Reduction(left, block_diagonal(parts))

    def _merged(self, attention: Tensor, left: int) -> tuple[Tensor, Tensor]:
        """Places that stay, ascending, and each as a weighted sum of all, sparse, ``(left, present)``."""
        rank = attention.sort(descending=True, stable=True).indices
        kept, low = rank[:left].sort().values, rank[max(0, left - 1) :]
        weight = torch.arange(1.0, len(low) + 1)
        if self.weights == "attention" and bool(attention[low].sum() > 0):
            weight = attention[low]
        alone = kept[~torch.isin(kept, low)]
        token = torch.cat([alone, low])
        row = torch.searchsorted(kept, torch.cat([alone, low[:1].expand(len(low))]))
        values = torch.cat([torch.ones(len(alone)), weight / weight.sum()])
        return kept, sparse(torch.stack([row, token]), values, (left, len(attention)))

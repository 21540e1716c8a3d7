"""VTW: withdraw all visual tokens from a middle layer on.

Lin et al., "Boosting Multimodal Large Language Models with Visual Tokens Withdrawal for Rapid Inference" (AAAI 2025);
official `VTW.py`. No score: the deep layers are said to have read what they need.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.released import Released
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower


@dataclass(frozen=True)
class VTW(Released, Reducer):
    """Layers 0..k-1 see every visual token, the others none.

    Parameters
    ----------
    ratio : float or None
        Share of layers that see visual tokens, at least one layer; wins over the schedule.
    positions : {"keep", "compact"}
        Official: the text keeps its positions.
    schedule : K
        Paper: k=15 of LLaVA-1.5-7B's 32 layers, found by a search that compares the next-token distributions.
    """

    ratio: float | None = None
    positions: Literal["keep", "compact"] = "keep"
    schedule: K = K(15)

    def keep_all(self) -> VTW:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0)

    def withdrawal(self, depth: int) -> int:
        """The first layer without visual tokens."""
        return self.schedule.resolve(depth).k if self.ratio is None else max(1, round(self.ratio * depth))

    def knobs(self, depth: int) -> dict[str, object]:
        """See `Reducer.knobs`."""
        return super().knobs(depth) | {"schedule": K(self.withdrawal(depth)).describe()}

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        k = self.withdrawal(depth)
        return (Site.layer(k, depth),) if k < depth else ()

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return 0

    def reduce(self, view: View) -> Reduction:
        """See `Reducer.reduce`."""
        return Reduction(view.visual[:0], positions=self.positions)

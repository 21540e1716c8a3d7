"""VTW: withdraw all visual tokens from a middle layer on.

Lin et al., "Boosting Multimodal Large Language Models with Visual Tokens Withdrawal for Rapid Inference" (AAAI 2025);
official `VTW.py`. No score: the deep layers are said to have read what they need.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from winnow.reducers.core.base import Reducer, check_ratio
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.schedule import K


@dataclass(frozen=True)
class VTW(Reducer):
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

    def __post_init__(self) -> None:
        """Check the ratio, then the choices."""
        if self.ratio is not None:
            check_ratio(self.ratio)
        super().__post_init__()

    def keep_all(self) -> VTW:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0)

    def withdrawal(self, depth: int) -> int:
        """The first layer without visual tokens."""
        return self.schedule.resolve(depth).k if self.ratio is None else max(1, round(self.ratio * depth))

    def knobs(self, depth: int) -> dict[str, object]:
        """See `Reducer.knobs`."""
        return super().knobs(depth) | {"schedule": K(self.withdrawal(depth)).describe()}

    def layers(self, depth: int) -> tuple[int, ...]:
        """See `Reducer.layers`."""
        k = self.withdrawal(depth)
        return (k,) if k < depth else ()

    def count(self, grid: Grid, present: int, layer: int, depth: int) -> int:
        """See `Reducer.count`."""
        return 0

    def reduce(self, view: View) -> Reduction:
        """See `Reducer.reduce`."""
        return Reduction(view.visual[:0], positions=self.positions)

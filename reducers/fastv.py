"""FastV: drop the visual tokens that receive the least attention in a shallow layer.

Chen et al., "An Image is Worth 1/2 Tokens After Layer 2" (ECCV 2024). The paper ranks by the average attention that a
token receives from all others; all three official codes use the last prompt token's row alone, and so does the default.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

from winnow.reducers.core.base import Scorer, check_ratio
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Scope
from winnow.reducers.core.probes import Probe, Rows
from winnow.reducers.core.reduction import View
from winnow.reducers.core.released import Released
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class FastV(Released, Scorer):
    """Rank by the attention of layer k-1, drop before layer k.

    Parameters
    ----------
    R : float or None
        The paper's knob, the share of visual tokens that is DROPPED; wins over `ratio`.
    rows : {"last", "text", "all"}
        Query rows whose attention counts: the last prompt token (official code), the text behind the visual tokens,
        or all rows (the paper's words; under a causal mask this favours early tokens).
    rounding : {"nearest", "down"}
        Of the tokens kept. ``down``: cut off, as the official lmms-eval port does: 5 % of 576 are 28, not 29.
    scope : {"prompt", "span"}
        Official: over all visual tokens of the prompt, or each span with a quota of its own.
    schedule : K
        Paper k=2 with R=0.5; the official lmms-eval port k=3.
    """

    native: ClassVar[tuple[str, ...]] = ("R",)

    R: float | None = None
    rows: Literal["last", "text", "all"] = "last"
    rounding: Literal["nearest", "down"] = "nearest"
    scope: Scope = "prompt"
    schedule: K = K(2)

    def __post_init__(self) -> None:
        """Turn R into the share kept."""
        if self.R is not None:
            check_ratio(1 - self.R, "1-R")
            object.__setattr__(self, "ratio", 1 - self.R)
        if self.schedule is None:
            raise WinnowError(
                "reducer=fastv reads the attention of layer k-1: give it a schedule of kind k with k >= 1"
            )
        super().__post_init__()

    def keep_all(self) -> FastV:
        """See `Reducer.keep_all`."""
        return replace(self, R=None, ratio=1.0)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        if self.rounding == "nearest":
            return super().count(site, grid, present)
        return min(present, max(1, int(grid.tokens * self.ratio)))

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`."""
        return ((Rows(self.rows), self.schedule.resolve(depth).k - 1),)

    def score(self, view: View) -> Tensor:
        """See `Scorer.score`."""
        return view.signals[Rows(self.rows), view.layer - 1][view.visual]

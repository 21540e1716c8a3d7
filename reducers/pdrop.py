"""PyramidDrop: drop visual tokens at the end of each stage of the LLM, by the attention that the next layer will pay.

Xing et al., "PyramidDrop" (CVPR 2025); official `modeling_llama_pdrop.py`. The hidden states at the cut pass through
the next layer's own norm, projections and RoPE; the last instruction token's attention ranks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from winnow.reducers.core.base import Scorer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Scope
from winnow.reducers.core.probes import LookAhead, Probe
from winnow.reducers.core.reduction import Positions, View
from winnow.reducers.core.released import Released
from winnow.reducers.core.schedule import Cuts
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PDrop(Released, Scorer):
    """Keep a falling share of the original tokens at each cut.

    Parameters
    ----------
    ratio : float
        Share that the last stage keeps; each cut keeps the same part of what is there (0.125 with three cuts: 0.5).
    ratios : sequence of float or None
        The shares of the original tokens that are left after each cut; wins over `ratio`.
    positions : {"compact", "keep", "restart"}
        Official: renumbered at every stage. Undefined under M-RoPE, where ``keep`` works.
    scope : {"prompt", "span"}
        Rank all visual tokens of the prompt together (the official code knows one picture), or those of each span.
    schedule : Cuts
        Paper: quarters of the depth.
    """

    native: ClassVar[tuple[str, ...]] = ("ratios",)

    ratio: float = 0.125
    ratios: Sequence[float] | None = None
    positions: Positions = "compact"
    scope: Scope = "prompt"
    schedule: Cuts = Cuts((8, 16, 24), of=32)

    def __post_init__(self) -> None:
        """Check the shares, then the choices."""
        if self.ratios is not None:
            ratios = tuple(self.ratios)
            object.__setattr__(self, "ratios", ratios)
            if len(ratios) != len(self.schedule.cuts) or list(ratios) != sorted(ratios, reverse=True):
                raise WinnowError(
                    f"reducer.ratios={list(ratios)} is not allowed: give one falling share for each of the cuts "
                    f"{list(self.schedule.cuts)}"
                )
            object.__setattr__(self, "ratio", ratios[-1])
        super().__post_init__()

    def keep_all(self) -> PDrop:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0, ratios=None)

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`."""
        return tuple((LookAhead(), site.number) for site in self.sites(depth))

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: rounded down, at least one token."""
        cuts = self.sites(site.depth)
        stage = cuts.index(site)
        share = self.ratios[stage] if self.ratios else self.ratio ** ((stage + 1) / len(cuts))
        return min(present, max(1, int(grid.tokens * share + 1e-6)))

    def score(self, view: View) -> Tensor:
        """See `Scorer.score`."""
        return view.signals[LookAhead(), view.layer][view.visual]

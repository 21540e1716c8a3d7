"""V2Drop: drop the visual tokens that a layer hardly changes.

Chen et al., "Variation-aware Vision Token Dropping for Faster Large Vision-Language Models" (CVPR 2026); official
`V2Drop.py`, which knows one picture of LLaVA-1.5's 576 tokens at place 35 of the prompt, and takes any longer prompt to
have one. No attention is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from winnow.reducers.core.base import Ranker, sites_of
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Scope
from winnow.reducers.core.probes import Change, Probe
from winnow.reducers.core.reduction import View
from winnow.reducers.core.released import Released
from winnow.reducers.core.schedule import Cuts
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor

PUBLISHED = (0.5, 0.5, 0.0)
"""What each of the official cuts on LLaVA-1.5 keeps of the tokens that reach it: 576, 288, 144, 1."""


@dataclass(frozen=True)
class V2Drop(Released, Ranker):
    """At each cut keep the tokens that the layer before has moved farthest, in the L2 distance of hidden states.

    Parameters
    ----------
    ratio : float or None
        Share of the visual tokens that the last cut leaves; each keeps the same part of what is there. None: `keep`.
    keep : sequence of float or None
        What each cut keeps of the tokens that reach it, rounded down, at least one; wins over `ratio`. None and no
        ratio: 0.5, 0.5, 0 on three cuts. Official for Qwen2-VL: 0.25, 0.05, 0.
    positions : {"keep", "compact", "restart"}
        Official: keep.
    scope : {"prompt", "span"}
        Rank all visual tokens of the prompt together, or those of each span.
    schedule : Cuts
        Official: 3, 17, 22 of 32 layers.
    """

    native: ClassVar[tuple[str, ...]] = ("keep",)

    ratio: float | None = None
    keep: Sequence[float] | None = None
    scope: Scope = "prompt"
    schedule: Cuts = Cuts((3, 17, 22), of=32)

    def __post_init__(self) -> None:
        """Check the shares, then the choices."""
        shares = PUBLISHED if self.keep is None and self.ratio is None else self.keep
        if shares is not None:
            object.__setattr__(self, "keep", tuple(shares))
            if len(shares) != len(self.schedule.cuts) or not all(0 <= share <= 1 for share in shares):
                raise WinnowError(
                    f"reducer.keep={list(shares)} is not allowed: give a share from 0 to 1 for each of the cuts "
                    f"{list(self.schedule.cuts)}, or a ratio"
                )
        super().__post_init__()

    def keep_all(self) -> V2Drop:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0, keep=None)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return sites_of(self.schedule, depth)

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`."""
        return tuple((Change(), site.number - 1) for site in self.sites(depth))

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        cuts = self.sites(site.depth)
        stage = cuts.index(site)
        if self.keep is not None:
            return min(present, max(1, int(present * self.keep[stage])))
        share = (self.ratio or 1.0) ** ((stage + 1) / len(cuts))
        return min(present, max(1, round(grid.tokens * share)))

    def score(self, view: View) -> Tensor:
        """See `Ranker.score`."""
        return view.signals[Change(), view.layer - 1][view.visual]

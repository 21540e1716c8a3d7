"""ToMe inside the LLM: each of the first layers merges its most similar pairs of visual tokens.

Bolya et al., "Token Merging: Your ViT but Faster" (ICLR 2023), as VAS runs it in its Table 1: keys, cosine, plain mean,
a fixed number per layer in the first 24 layers (48 for PLLaVA, 36 for VILA, 120 for LongVA; VILA's printed memory fits
32). There is no code. A layer's KV cache still holds what came in, as tokens merge behind its attention.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import torch

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.matching import bipartite_match, match_work, merge_into
from winnow.reducers.core.probes import Keys, Probe
from winnow.reducers.core.reduction import Positions, Reduction, View
from winnow.reducers.core.schedule import First
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower


@dataclass(frozen=True)
class ToMe(Reducer):
    """Merge even visual tokens of a span into their best odd ones; text never merges, the raster order stays.

    Parameters
    ----------
    ratio : float
        Share of each span's visual tokens that is left once the last merging layer is done, by an even drop per layer.
    r : int or None
        Tokens merged away in each layer and span, at most half; wins over `ratio`.
    rope : bool
        Compare keys after RoPE, which also encode where a token stands, instead of those before.
    size_weighted : bool
        Weigh tokens by how many they stand for (original ToMe), instead of equally (VAS).
    positions : {"keep", "compact", "mean", "restart"}
        A merged token keeps its destination's id, or as it says.
    schedule : First
        Paper: the first 24 layers, whatever the depth.
    """

    native: ClassVar[tuple[str, ...]] = ("r",)

    ratio: float = 0.5
    r: int | None = None
    rope: bool = False
    size_weighted: bool = False
    positions: Positions = "keep"
    schedule: First = First(24)

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        if self.r is not None and self.r < 0:
            raise WinnowError(f"reducer.r={self.r} is not allowed: choose 0 or more tokens per layer")
        super().__post_init__()

    def keep_all(self) -> ToMe:
        """See `Reducer.keep_all`."""
        return replace(self, r=0)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return tuple(Site.inside(layer, depth) for layer in range(self.schedule.resolve(depth).layers))

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`."""
        return tuple((Keys(self.rope), site.number) for site in self.sites(depth))

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        done = (site.number + 1) / self.schedule.resolve(site.depth).layers
        wanted = grid.tokens - round(grid.tokens * (1 - self.ratio) * done) if self.r is None else present - self.r
        return min(present, max(wanted, present - present // 2))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: keys are compared, hidden states averaged."""
        return match_work(present, width.head) + 2 * present * width.hidden

    def reduce(self, view: View) -> Reduction | None:
        """Merge each span."""
        keys = view.signals[Keys(self.rope), view.layer]
        ends = []
        for span in view.layout.spans:
            positions = span.positions[view.present(span)]
            count = len(positions) - self.count(view.site, span.grid, len(positions))
            source, destination = bipartite_match(keys[positions.to(keys.device)].float().mean(1), count)
            ends.append(positions.index_copy(0, source, positions[destination]))
        size = view.size[view.visual] if self.size_weighted else None
        return merge_into(torch.cat(ends), view.visual, self.positions, size)

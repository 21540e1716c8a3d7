"""SparseVLM: keep what the text's raters attend to behind three layers, and recycle a part of what goes.

Zhang et al., "SparseVLM: Visual Token Sparsification for Efficient Vision-Language Model Inference" (ICML 2025);
official `modelling_sparse_llama.py`. The paper's rate by the rank of the attention is in the first release alone; the
later ones read counts from a table: for 576 tokens, and for means over the layers of 192, 128, 96 or 64, where a layer
that cuts behind its attention counts as cut. ``version="+"`` is its successor in the same repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import Reducer, sites_of, top
from winnow.reducers.core.clusters import density_peaks
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Scope, Width
from winnow.reducers.core.matching import block_diagonal
from winnow.reducers.core.merger import Part, alone, raster, rows_of
from winnow.reducers.core.probes import Probe, Raters
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.released import Released
from winnow.reducers.core.schedule import Cuts
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower
from winnow.reducers.core.tower_methods import Order

if TYPE_CHECKING:
    from torch import Tensor

OF = 576
TABLE = {
    "1.5": {192: (300, 200, 110), 128: (303, 110, 36), 96: (238, 48, 26), 64: (66, 30, 17)},
    "+": {192: (300, 200, 118), 128: (238, 108, 60), 96: (246, 54, 28), 64: (66, 34, 20)},
}
"""Tokens that each of three cuts keeps, by their mean over the layers."""


@dataclass(frozen=True)
class SparseVLM(Released, Reducer):
    """Cut by the attention of the raters in the layer before: text that is like the picture, see `raters`.

    Each cut keeps a number of the best, at most all but one. Version 1.5 takes the best 30 % of the others and one
    more, clusters them by density peaks into a tenth and one more, and adds the clusters' means.

    Parameters
    ----------
    ratio : float
        The mean share over the layers, as the table says it; between its rows, towards none and towards all, counts are
        interpolated.
    counts : sequence of float or None
        Shares of the original tokens that each cut keeps; wins over `ratio`.
    version : {"1.5", "+"}
        ``+`` recycles nothing, divides attention by what RoPE alone would make of it, and lets `heads` heads vote.
    heads : int
        Official: 14 whatever the model. Counts for ``+``.
    order : {"official", "raster"}
        Recycled tokens stand behind the others, or at the places of their centres.
    positions : {"compact", "keep"} or None
        Official: compact in 1.5, keep in +; None: as the version.
    scope : {"prompt", "span"}
        Quotas of the prompt (the official code knows one picture), or of each span.
    schedule : Cuts
        Official: behind layers 2, 6 and 15 of 32.
    """

    native: ClassVar[tuple[str, ...]] = ("counts",)

    ratio: float = 0.3333333333333333
    counts: Sequence[float] | None = None
    version: Literal["1.5", "+"] = "1.5"
    heads: int = 14
    order: Order = "official"
    positions: Literal["compact", "keep"] | None = None
    scope: Scope = "prompt"
    schedule: Cuts = Cuts((3, 7, 16), of=32)

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        super().__post_init__()
        if self.counts is not None:
            object.__setattr__(self, "counts", tuple(self.counts))
        cuts = len(self.schedule.cuts)
        if self.counts is None and cuts != len(TABLE["+"][64]):
            raise WinnowError(f"schedule.cuts={list(self.schedule.cuts)} are not 3, of which the table is: give counts")
        if self.counts is not None and (len(self.counts) != cuts or any(not 0 < x <= 1 for x in self.counts)):
            raise WinnowError(f"reducer.counts={list(self.counts)} is not allowed: give one share for each of the cuts")
        if self.heads < 1:
            raise WinnowError(f"reducer.heads={self.heads} is not allowed: choose 1 or more")
        if self.positions is None:
            object.__setattr__(self, "positions", "compact" if self.version == "1.5" else "keep")

    def keep_all(self) -> SparseVLM:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0, counts=None if self.counts is None else (1.0,) * len(self.counts))

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return sites_of(self.schedule, depth)

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`."""
        return tuple((self._probe, site.number - 1) for site in self.sites(depth))

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        kept = self._kept(site, grid, present)
        return kept + self._recycled(present - kept)[1]

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: distances among what is recycled."""
        return 2.0 * self._recycled(present - self._kept(site, grid, present))[0] ** 2 * width.hidden

    def reduce(self, view: View) -> Reduction | None:
        """Keep the best, recycle a part of the others."""
        score, keep, weights, whole = view.signals[self._probe, view.layer - 1], [], [], True
        for span in view.layout.pools(self.scope):
            stays = view.present(span)
            here, grid = span.positions[stays], span.grid
            states = view.visual_hidden[torch.isin(view.visual, here).to(view.hidden.device)]
            kept = self._kept(view.site, grid, len(here))
            whole = whole and kept == len(here)  # a single token that is recycled goes behind the others
            slots, rows = self._left(score[here], states, kept)
            keep.append(here[slots.sort().values])
            weights.append(rows)
        if whole:
            return None
        positions = "keep" if self.positions is None else self.positions
        if self.version == "+":
            return Reduction(torch.cat(keep), positions=positions)
        return Reduction(torch.cat(keep), block_diagonal(weights), positions)

    @property
    def _probe(self) -> Raters:
        return Raters(self.heads, corrected=True) if self.version == "+" else Raters()

    def _kept(self, site: Site, grid: Grid, present: int) -> int:
        """Tokens that a cut keeps as they are."""
        cut = self.sites(site.depth).index(site)
        share = self.counts[cut] if self.counts is not None else _share(self.version, self.ratio, cut)
        return present if share >= 1 or present < 2 else min(max(1, round(share * grid.tokens)), present - 1)

    def _recycled(self, dropped: int) -> tuple[int, int]:
        """Of so many dropped tokens, those that are recycled, and the clusters that they make."""
        if not dropped or self.version == "+":
            return 0, 0
        recycled = int(dropped * 0.3) + 1
        return recycled, recycled // 10 + 1

    def _left(self, score: Tensor, states: Tensor, kept: int) -> tuple[Tensor, Tensor]:
        """Slots and weights of what a cut leaves."""
        stays = torch.zeros(len(score), dtype=torch.bool).index_fill_(0, top(score, kept), True)
        parts, gone = [alone(stays.nonzero().flatten())], (~stays).nonzero().flatten()
        recycled, clusters = self._recycled(len(gone))
        if recycled:
            best = gone[score[gone].sort(descending=True, stable=True).indices[:recycled]]
            centres, cluster = density_peaks(states[best.to(states.device)].float(), clusters, clusters)
            parts.append(Part(best[centres], best, cluster, 1 / cluster.bincount(minlength=clusters)[cluster]))
        merged = rows_of(parts, len(score))
        return raster(*merged) if self.order == "raster" else merged


def _share(version: str, ratio: float, cut: int) -> float:
    """The share of the original tokens that a cut keeps."""
    points = [(0, 0), *sorted((mean, counts[cut]) for mean, counts in TABLE[version].items()), (OF, OF)]
    mean = ratio * OF
    (a, low), (b, high) = next(pair for pair in pairwise(points) if mean <= pair[1][0])
    return (low + (high - low) * (mean - a) / (b - a)) / OF

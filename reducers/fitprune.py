"""FitPrune: inside each layer delete as many visual tokens as a fitted table says, those that attention uses least.

Ye et al., "Fit and Prune: Fast and Training-free Visual Token Pruning for Multi-modal Large Language Models" (AAAI
2025); official `modeling_llama.py`. Its tables of counts were fitted to LLaVA-1.5-7B; the fit itself is not done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from winnow.reducers.core.base import Ranker
from winnow.reducers.core.layout import Grid, Scope
from winnow.reducers.core.probes import PeakRows, Probe
from winnow.reducers.core.reduction import View
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor

TOKENS, LAYERS = 576, 32
FITTED = {
    0.9: "0 0 1 2 1 0 1 4 5 5 11 4 2 2 0 0 1 1 2 4 2 10 1 1 1 2 1 1 0 1 0 0",
    0.8: "0 0 3 3 1 1 4 16 14 15 24 4 2 3 2 0 6 0 5 13 4 19 2 1 1 1 1 1 2 1 0 0",
    0.7: "0 0 7 6 4 5 16 40 24 21 24 4 2 3 4 0 16 0 11 26 6 32 3 1 0 1 2 2 4 0 0 0",
    0.6: "0 1 21 13 14 11 41 53 29 15 14 5 1 4 5 1 26 1 13 28 6 27 2 1 0 0 1 1 2 0 0 0",
    0.5: "3 7 49 24 29 17 59 41 26 8 10 6 2 5 7 2 30 3 13 27 5 23 2 1 0 0 1 1 2 0 0 0",
    0.45: "6 17 69 31 34 19 59 30 23 6 8 7 2 5 8 2 29 4 12 25 4 19 2 1 0 0 1 0 1 0 0 0",
    0.4: "14 33 89 36 36 20 55 21 18 4 7 5 2 5 7 4 26 5 11 24 4 18 2 1 0 0 1 0 1 0 0 0",
    0.3: "48 79 118 41 33 17 36 9 9 2 3 2 1 3 4 8 18 7 8 20 4 13 2 1 0 0 1 0 1 0 0 0",
    0.2: "128 127 118 35 26 8 13 3 2 1 0 0 0 2 1 8 7 8 5 11 2 6 1 1 0 0 0 1 0 0 0 0",
    0.1: "262 153 80 19 13 1 2 0 0 0 0 0 0 0 0 1 1 2 1 2 0 1 0 0 0 0 0 1 0 0 0 0",
}
"""Tokens that each layer of LLaVA-1.5-7B deletes, for a share of the FLOPs that is left."""


@dataclass(frozen=True)
class FitPrune(Released, Ranker):
    """Keep what the text and the other visual tokens attend to, between a layer's attention and its MLP.

    A token's score is the sum over the text's rows of the attention that it receives, times the sum over the visual
    rows, of each row the largest over heads.

    Parameters
    ----------
    ratio : float
        Share of the visual tokens' FLOPs that is left. The official tables hold for 0.9, 0.8, ... 0.1 and for 0.45 of
        576 tokens and 32 layers, where counts are theirs; between them what is left is interpolated, and layers count
        by their share of the depth.
    select : {"highest", "lowest"}
        ``lowest`` is what UniPruneBench runs as FitPrune: it keeps what the official code deletes.
    positions : {"keep", "compact", "restart"}
        Official: keep.
    scope : {"prompt", "span"}
        Rank all visual tokens of the prompt together (the official code knows one picture), or those of each span.
    """

    ratio: float = 0.5
    scope: Scope = "prompt"

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`: the layers that delete, at 0.9 for more than that."""
        least = min(self.ratio, max(FITTED))
        share = [1.0, *(left(least, layer, depth) for layer in range(depth))]
        return tuple(Site.inside(layer, depth) for layer in range(depth) if share[layer + 1] < share[layer])

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`."""
        rows = PeakRows("text"), PeakRows("visual")
        return tuple((probe, site.number) for site in self.sites(depth) for probe in rows)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: at least one token."""
        return min(present, max(1, round(grid.tokens * left(self.ratio, site.number, site.depth))))

    def score(self, view: View) -> Tensor:
        """See `Ranker.score`."""
        text, visual = (view.signals[PeakRows(which), view.layer] for which in ("text", "visual"))
        return (text * visual)[view.visual]


def left(ratio: float, layer: int, depth: int) -> float:
    """Share of the tokens that is left behind a layer: by the two tables next to the ratio."""
    place = max(1, round((layer + 1) * LAYERS / depth)) - 1
    known = {1.0: 1.0, 0.0: 0.0} | {share: _left(counts)[place] for share, counts in FITTED.items()}
    below, above = max(r for r in known if r <= ratio), min(r for r in known if r >= ratio)
    part = (ratio - below) / (above - below) if above > below else 0.0
    return known[below] * (1 - part) + known[above] * part


def _left(counts: str) -> list[float]:
    """Share of the tokens that is left behind each layer of a table."""
    return [1 - deleted / TOKENS for deleted in accumulate(map(int, counts.split()))]

"""PACT: in front of one LLM layer drop what the pictures ask for least, then merge what is alike within a distance.

Dhouib et al., "PACT: Pruning and Clustering-Based Token Reduction for Faster Visual Language Models" (CVPR 2025);
official `PACT/utils.py` and `modeling_qwen2.py` with `configs/pact.json`. It rounds the logarithms of sizes to 16 bit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import Reducer, sites_of, top
from winnow.reducers.core.clusters import bounded_peaks
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import unit
from winnow.reducers.core.layout import Grid, Scope, Width
from winnow.reducers.core.matching import merge_into
from winnow.reducers.core.probes import KeysAhead, MeanQuery, Probe
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.released import Released
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PACT(Released, Reducer):
    """Keep the most asked for, cluster them by their keys, and let what was dropped nearby come back into the means.

    A token's score is what the mean query of all tokens up to the last visual one pays to it before RoPE, times the
    length of its hidden state. Keys are compared after RoPE by cosine, all heads as one vector. From the densest token
    on, each that lies farther than `cutoff` from every centre becomes a centre; the others go to the nearest one, and
    so do dropped tokens within `recovery` times `cutoff` of it. A cluster becomes its plain mean at its centre, and
    counts with its size in the attention of this layer and the later ones. Ties go to the lower place, of equally dense
    tokens to the later one.

    Parameters
    ----------
    ratio : float
        Only estimates what stays, for plans; how much it is the content decides.
    share : float
        Share of the visual tokens that is clustered, rounded down.
    cutoff : float
        Cosine distance within which a token is no centre of its own; below 0 nothing merges.
    recovery : float
        Times the cutoff: how near to a centre a dropped token has to be to come back; 0: none does.
    weighed : bool
        Whether clusters count with their sizes in attention (official: a switch that is on).
    scope : {"prompt", "span"}
        Over all visual tokens of the prompt (official, of one picture), or over those of each span.
    positions : {"keep", "compact"}
        Official: keep.
    schedule : K
        Official: 4 of 28.
    """

    adaptive: ClassVar[bool] = True

    ratio: float = 0.3
    share: float = 0.55
    cutoff: float = 0.21
    recovery: float = 1.5
    weighed: bool = True
    scope: Scope = "prompt"
    positions: Literal["keep", "compact"] = "keep"
    schedule: K = K(4, of=28)

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        super().__post_init__()
        if not 0 < self.share <= 1 or self.cutoff > 2 or self.recovery < 0:
            numbers = f"share={self.share}, cutoff={self.cutoff} or recovery={self.recovery}"
            raise WinnowError(f"reducer.{numbers} is not allowed: choose a share above 0, a distance, and 0 or more")

    def keep_all(self) -> PACT:
        """See `Reducer.keep_all`."""
        return replace(self, share=1.0, cutoff=-1.0)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return sites_of(self.schedule, depth)

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`: of the layer that is about to run."""
        return tuple((probe, site.number) for site in self.sites(depth) for probe in (MeanQuery(), KeysAhead()))

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: an estimate where tokens merge."""
        kept = max(1, int(present * self.share)) if present else 0
        return kept if self.cutoff < 0 else min(kept, max(1, round(grid.tokens * self.ratio)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: distances among what is clustered, to the centres from what is dropped, and sums."""
        kept, left = max(1, int(present * self.share)), self.count(site, grid, present)
        return 2 * (kept**2 + (present - kept) * left) * width.head + 2 * present * width.hidden

    def reduce(self, view: View) -> Reduction | None:
        """Cluster the tokens of each span, or of the prompt."""
        ends = []
        length = view.visual_hidden.float().norm(dim=1).cpu()
        score = torch.zeros(view.layout.length).index_copy_(0, view.visual, length)
        score = score * view.signals[MeanQuery(), view.layer].cpu()
        for span in view.layout.pools(self.scope):
            here = span.positions[view.present(span)]
            keys = view.signals[KeysAhead(), view.layer]
            vectors = unit(keys[here.to(keys.device)].flatten(1).float())
            ends.append(self._ends(score[here], vectors, here))
        answer = merge_into(torch.cat(ends), view.visual, self.positions)
        return None if answer is None else replace(answer, weighed=self.weighed)

    def _ends(self, score: Tensor, keys: Tensor, here: Tensor) -> Tensor:
        """Prompt index of the centre to which each token goes, -1 for one that is dropped."""
        if not len(here):
            return here
        kept = top(score, max(1, int(len(here) * self.share)))
        centres = kept[bounded_peaks(keys[kept.to(keys.device)], self.cutoff)].sort().values
        nearest = (1 - keys @ keys[centres.to(keys.device)].mT).min(1)
        near = (nearest.values <= self.recovery * self.cutoff).cpu()
        near[kept] = True
        ends = here[centres[nearest.indices.cpu()]].where(near, -1)
        return ends.index_copy(0, centres, here[centres])

"""LLaVA-PruMerge: keep the patches whose class attention is an outlier, each enriched by its most similar neighbours.

Shang et al., "LLaVA-PruMerge" (ICCV 2025), section 3 and Algorithm 1; official `clip_encoder.py`. Default is the code,
which reads full-width ("headless") attention and keys of the tower's LAST block, compares keys by cosine, adds the
neighbours to the centre, adds one token for all that was not selected, and for PruMerge+ about three uniform tokens per
outlier. On towers without a CLS token the mean query of the block that yields the features stands for it, as in AIM's
port to SigLIP (which has no uniform tokens: ``plus=False``).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.entrance import fill
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Headless, Tower, TowerKeys, TowerProbe, TowerView
from winnow.reducers.core.tower_methods import Order, TowerReducer, arrange, guide_probe

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PruMerge(TowerReducer):
    """Select by outliers (AITS), then merge by similar keys (TS), on the features of each frame.

    Parameters
    ----------
    ratio : float or None
        A fixed share of a frame's tokens, all added ones included, instead of the adaptive count: PruMerge+ takes as
        many outliers as fit with their uniform tokens, and what is missing comes by attention.
    attended : float or None
        The released code's branch without outliers (``if_adaptive=False``; there 1/8): this share of the patches is
        taken by attention, rounded down, and PruMerge+ adds every ``int(1 / attended)``-th patch from half a step on.
        One that is taken already stands twice, and the extra token then misses as many patches, the first. Wins over
        `ratio`.
    counts : {"picture", "batch"}
        Whose outliers are counted: each picture's own, or, as in the released code, those of all pictures that are
        encoded together, so that all take the same share. Takes one prompt at a time.
    plus : bool
        PruMerge+: add spatially uniform tokens, at least as many as outliers.
    variant : {"official", "paper"}
        ``paper``: attention per head and keys of the block that yields the features (the penultimate of CLIP), dot
        product of keys, ``sum a_q y_q`` without the centre, as many uniform tokens as outliers, no extra token.
    merge : bool
        False: the selection alone (the paper's AITS row), without the extra token unless `extra` asks for it.
    k : int
        Neighbours of each selected token, selected ones included.
    normalise : bool
        Divide the neighbours' attention by its sum: the weighted average of the paper's Figure 2, commented out in the
        code.
    extra : bool or None
        Add the attention-weighted sum of the unselected as a last token, which takes the place of the last unselected
        patch. None: as the variant.
    order : {"official", "raster"} or None
        Outliers by falling attention, uniform tokens, the extra token (official); or raster. None: as the variant.
    """

    native: ClassVar[tuple[str, ...]] = ("attended",)

    ratio: float | None = None
    attended: float | None = None
    counts: Literal["picture", "batch"] = "picture"
    plus: bool = False
    variant: Literal["official", "paper"] = "official"
    merge: bool = True
    k: int = 32
    normalise: bool = False
    extra: bool | None = None
    order: Order | None = None

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        if self.attended is not None and not 0 < self.attended <= 1 / 3:
            raise WinnowError(
                f"reducer.attended={self.attended} is not allowed: choose a share of the patches, 0 < attended <= 1/3"
            )
        if self.k < 1:
            raise WinnowError(f"reducer.k={self.k} is not allowed: choose 1 or more neighbours")
        if self.order not in (None, "official", "raster"):
            raise WinnowError(f"reducer.order={self.order} is not allowed: choose official | raster | null")
        super().__post_init__()

    @property
    def adaptive(self) -> bool:  # type: ignore[override]
        """Whether the picture decides the count: unless a number fixes it."""
        return self.ratio is None and self.attended is None

    @property
    def together(self) -> bool:  # type: ignore[override]
        """Whether the other pictures decide, too."""
        return self.adaptive and self.counts == "batch"

    def keep_all(self) -> PruMerge:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0, attended=None)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return () if tower is None else (Site.features(tower),)

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`: the official code reads a block that the features have not passed."""
        official = self.variant == "official"
        block = tower.blocks - 1 if official and tower.cls else tower.used - 1
        attention = Headless() if official else guide_probe("auto", tower)
        return ((attention, block), (TowerKeys(), block))

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: without a ratio the averages of the paper's Table 1, 5.5 % and 25 %."""
        if self.attended is not None:
            attended, uniform = self._fixed(grid.tokens)
            return min(present, attended + len(uniform) + self._extra)
        share = site.vision.share(self.ratio) if self.ratio else 0.25 if self.plus else 0.055
        return max(1, round(grid.tokens * share))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: keys of the selected against all, then the sum of the neighbours."""
        kept = self.count(site, grid, present)
        return 2 * kept * (present + min(self.k, present)) * width.hidden if self.merge else 0.0

    def reduce(self, view: TowerView) -> Reduction | None:
        """Select, merge, add the extra token."""
        present, total = len(view.index), None
        if self.ratio and self.attended is None:
            total = self.count(view.site, view.tower.grid, present)
        if total is not None and total >= present:
            return None
        attention, keys = (view.signals[probe].float() for probe in self.tower_probes(view.tower))
        attention = attention.cpu()
        chosen = self._select(attention, total, view)
        weights = torch.eye(present)[chosen]
        if self.merge:
            weights = self._merge(weights, chosen, attention, keys.flatten(1))
        slots = fill(chosen, present)
        rest = torch.ones(present, dtype=torch.bool).index_fill_(0, slots, False)
        if self._extra and rest.any() and total != 1:
            weights = torch.cat([weights, (attention * rest)[None]])
            slots, chosen = (torch.cat([places, rest.nonzero()[-1]]) for places in (slots, chosen))
        if (self.order or ("official" if self._official else "raster")) == "raster":
            weights = weights[chosen.sort(stable=True).indices]
        return arrange(weights, view.index[slots], "official")

    @property
    def _official(self) -> bool:
        return self.variant == "official"

    @property
    def _extra(self) -> bool:
        return self._official and self.merge if self.extra is None else self.extra

    def _select(self, attention: Tensor, total: int | None, view: TowerView) -> Tensor:
        """Outliers by falling attention, then uniform tokens; with a total exactly as many as fit."""
        rank = attention.sort(descending=True, stable=True).indices
        if self.attended is not None:
            count, uniform = self._fixed(len(rank))
            return torch.cat([rank[:count], uniform])
        if total is None:
            return torch.cat(self._with_uniform(rank, self._outliers(attention, view)))
        total = max(1, total - self._extra)
        best, uniform = self._with_uniform(rank, 1)
        while len(best) < total and sum(map(len, larger := self._with_uniform(rank, len(best) + 1))) <= total:
            best, uniform = larger
        uniform = uniform[: total - 1]
        others = rank[~torch.isin(rank, uniform)]
        return torch.cat([others[: total - len(uniform)], uniform])

    def _fixed(self, patches: int) -> tuple[int, Tensor]:
        """How many are taken by attention, and the uniform ones."""
        share = self.attended or 1.0
        step = int(1 / share)
        uniform = range(step // 2, patches - 1, step) if self.plus else ()
        return max(1, int(patches * share)), torch.tensor(uniform, dtype=torch.long)

    def _outliers(self, attention: Tensor, view: TowerView) -> int:
        """How many outliers are taken: this picture's, or this picture's part of those of all that are encoded."""
        if self.counts == "picture":
            return outliers(attention)
        probe = self.tower_probes(view.tower)[0]
        every = torch.cat([signals[probe].float().cpu() for signals in view.batch])
        return max(1, outliers(every) * len(attention) // len(every))

    def _with_uniform(self, rank: Tensor, m: int) -> tuple[Tensor, Tensor]:
        """The m best and the uniform tokens that PruMerge+ adds to them."""
        n, best = len(rank), rank[:m]
        if not self.plus:
            return best, rank[:0]
        if self._official:
            uniform = torch.arange(0, n - 1, max(1, n // m // 3))
        else:
            uniform = ((torch.arange(m) + 0.5) * n / m).long()
        return best, uniform[~torch.isin(uniform, best)]

    def _merge(self, weights: Tensor, chosen: Tensor, attention: Tensor, keys: Tensor) -> Tensor:
        """Add to each selected token its k most similar ones, weighted by their attention; ties to the lower index."""
        if self._official:
            keys = torch.nn.functional.normalize(keys, dim=-1)
        similarity = (keys[chosen.to(keys.device)] @ keys.mT).cpu().scatter(1, chosen[:, None], float("-inf"))
        near = similarity.sort(dim=1, descending=True, stable=True).indices[:, : min(self.k, len(keys) - 1)]
        share = attention[near]
        if self.normalise:
            share = share / share.sum(1, keepdim=True).clamp_min(torch.finfo(share.dtype).tiny)
        return (weights if self._official else torch.zeros_like(weights)).scatter(1, near, share)


def outliers(attention: Tensor) -> int:
    """How many values lie above the upper fence Q3 + 1.5 (Q3 - Q1), with numpy's linear percentiles; at least one."""
    quarters = torch.quantile(attention.double(), torch.tensor([0.25, 0.75], dtype=torch.double))
    return max(1, int((attention > quarters[1] + 1.5 * (quarters[1] - quarters[0])).sum()))

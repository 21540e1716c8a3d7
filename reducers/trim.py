"""TRIM: keep the patches that CLIP finds least like the question, and one more that is the mean of the others.

Song et al., "Less is More: A Simple yet Effective Token Reduction Method for Efficient Multi-modal LLMs" (COLING 2025);
official `clip_encoder.py`. The official code ranks by the negated product, as patches of CLIP answer a text the wrong
way round; it computes it in the precision of the tower, here it is single.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import top
from winnow.reducers.core.entrance import Variant
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.released import settle
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerProbe, TowerView
from winnow.reducers.core.tower_methods import Order, TowerReducer, arrange, text_probe

if TYPE_CHECKING:
    from torch import Tensor

USUAL = 0.21
"""The share that outliers leave in the paper."""


@dataclass(frozen=True)
class TRIM(TowerReducer):
    """Choose among the features of each frame; a question beyond what the text tower takes is cut off there.

    The official code stops with an error where it keeps no patch or all; here the extra token, or the frame, is left.

    Parameters
    ----------
    ratio : float or None
        Share of a frame's patches that is kept, rounded down, beside the extra token. None: as many as are outliers,
        of the softmax over patches those above the third quartile by 1.5 times the distance of the quartiles.
    text_tower : str
        A CLIP checkpoint with the text tower that belongs to the model's vision tower, see `TextMatch`.
    select : {"least", "most"}
        What is least like the text (official), or most.
    variant : {"mended", "official"}
        Each picture for itself, or as released.
    counts : {"picture", "batch"} or None
        Whose outliers are counted: each picture's own, or, as in the official code, those of all pictures that are
        encoded together, so that all take the same share, one prompt at a time. None: as the variant.
    extra : bool
        Add the mean of the patches that go, which takes the place of the last of them (the code's ``TextSim+``).
    order : {"official", "raster"}
        Patches in raster order, then the extra token; or each at its place.
    """

    checkpoints: ClassVar[tuple[str, ...]] = ("text_tower",)

    ratio: float | None = None
    text_tower: str = "openai/clip-vit-large-patch14-336"
    select: Literal["least", "most"] = "least"
    variant: Variant = "mended"
    counts: Literal["picture", "batch"] | None = None
    extra: bool = True
    order: Order = "official"

    def __post_init__(self) -> None:
        """Turn the variant into its counts, then check."""
        settle(self, counts=("picture", "batch"))
        super().__post_init__()

    @property
    def adaptive(self) -> bool:  # type: ignore[override]
        """Whether the picture decides the count."""
        return self.ratio is None

    @property
    def together(self) -> bool:  # type: ignore[override]
        """Whether the other pictures decide, too."""
        return self.adaptive and self.counts == "batch"

    def keep_all(self) -> TRIM:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return () if tower is None else (Site.features(tower),)

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        return text_probe(self.text_tower, tower, cosine=False, whole=False)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: without a ratio about as many as in the paper."""
        ratio = USUAL if self.ratio is None else self.ratio
        return present if ratio >= 1 else self._left(int(present * site.vision.share(ratio)), present)

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: the mean."""
        return present * width.hidden if self.extra else 0.0

    def reduce(self, view: TowerView) -> Reduction | None:
        """Choose, then add the mean of the others."""
        if self.ratio is not None and self.ratio >= 1:
            return None
        (probe,) = self.tower_probes(view.tower)
        sign = -1 if self.select == "least" else 1
        score, present = sign * view.signals[probe], len(view.index)
        pictures = [signals[probe] for signals in view.batch] if self.together else [view.signals[probe]]
        kept = self._outliers([sign * one for one in pictures], present) if self.ratio is None else 0
        total = self._left(kept, present) if self.ratio is None else self.count(view.site, view.tower.grid, present)
        slots = chosen = top(score, total - self.extra)
        weights = torch.eye(present)[chosen]
        if self.extra:
            rest = torch.ones(present).index_fill_(0, chosen, 0)
            slots = torch.cat([chosen, rest.nonzero()[-1]])
            weights = torch.cat([weights, (rest / rest.sum())[None]])
        return arrange(weights, view.index[slots], self.order)

    def _left(self, kept: int, present: int) -> int:
        """Tokens of a frame that keeps so many patches: with the extra token, and at least one."""
        return min(present, max(1, kept + self.extra))

    @staticmethod
    def _outliers(scores: list[Tensor], present: int) -> int:
        """How many patches of a frame are outliers, by the share of them in some pictures."""
        share = torch.cat([score.float().softmax(0) for score in scores])
        low, high = torch.quantile(share, torch.tensor([0.25, 0.75]))
        return int(present * (int((share > high + 1.5 * (high - low)).sum()) / len(share)))

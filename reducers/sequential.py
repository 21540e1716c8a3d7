"""Sequential sampling: keep the first tokens, the weakest control of LLaVA-PruMerge's Table 4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from winnow.reducers.core.base import Scorer
from winnow.reducers.core.reduction import View

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Sequential(Scorer):
    """Keep each span's first tokens in raster order; ``select=lowest`` keeps its last ones."""

    def score(self, view: View) -> Tensor:
        """See `Scorer.score`."""
        return -view.visual

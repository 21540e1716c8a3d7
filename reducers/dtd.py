"""DTD: drop the tokens that look like the same place one frame earlier, by a threshold.

Yao et al., "TimeChat-Online: 80% Visual Tokens are Naturally Redundant in Streaming Videos" (ACM MM 2025); official
code for Qwen2.5-VL, by features. It is EVS with a threshold for the global rank; its thresholds are for a model that
was trained with it. Comparing pixels instead of features is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch

from winnow.reducers.core.entrance import Chooser
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Span, Width
from winnow.reducers.core.reduction import View
from winnow.reducers.core.released import Released
from winnow.reducers.evs import alike

if TYPE_CHECKING:
    from torch import Tensor

    from winnow.reducers.core.layout import Grid
    from winnow.reducers.core.site import Site


@dataclass(frozen=True)
class DTD(Released, Chooser):
    """Keep the first frame, and of each other the tokens whose cosine to the frame before is at most `tau`.

    The frame before counts whole, also what was dropped of it; a frame may lose all its tokens.

    Parameters
    ----------
    ratio : float
        Only estimates what stays, for plans; how much it is the video decides.
    tau : float
        Cosine above which a token goes, in the model's own type. Official demo: 0.5. If relative: the share of each
        frame that goes, the most alike, rounded down.
    threshold : {"absolute", "relative"}
        What `tau` is.
    positions : {"keep", "compact"}
        Official: keep.
    """

    ratio: float = 0.5
    tau: float = 0.5
    threshold: Literal["absolute", "relative"] = "absolute"

    def __post_init__(self) -> None:
        """Check the threshold, then the rest."""
        if self.threshold == "relative" and not 0 <= self.tau <= 1:
            raise WinnowError(f"reducer.tau={self.tau} is not allowed: choose the share of a frame that goes, 0 to 1")
        if self.tau < -1:
            raise WinnowError(f"reducer.tau={self.tau} is not allowed: choose a cosine; above 1 nothing goes")
        super().__post_init__()

    @property
    def adaptive(self) -> bool:  # type: ignore[override]
        """Whether the video decides the count."""
        return self.threshold == "absolute"

    def keep_all(self) -> DTD:
        """See `Reducer.keep_all`."""
        return replace(self, tau=2.0 if self.adaptive else 0.0)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: an estimate, but for the first frame and for a relative threshold."""
        if not self.adaptive:
            return min(present, grid.tokens - (grid.frames - 1) * int(grid.tokens_per_frame * self.tau))
        estimate = grid.tokens_per_frame + round((grid.tokens - grid.tokens_per_frame) * self.ratio)
        return present if self.tau > 1 else min(present, estimate)

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: one cosine and two norms per token."""
        return 6 * present * width.hidden

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """See `Chooser.choose`."""
        likeness = alike(tokens, span.frames, view)
        goes = likeness > self.tau
        if self.threshold == "relative":
            rank = likeness.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
            goes = rank < int(likeness.shape[1] * self.tau)
        first = goes.new_zeros(len(tokens) // span.frames)
        return (~torch.cat([first, goes.flatten()])).nonzero().flatten().cpu()

"""EVS: drop the tokens that look most like the same place one frame earlier, over the whole video.

Bagrov et al., "Efficient Video Sampling: Pruning Temporally Redundant Tokens" (arXiv 2510.14624). The rule is that of
the engines that ship it, vLLM (`--video-pruning-method evs`) and SGLang, mask for mask; the method has no other code.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import torch

from winnow.reducers.core.base import check_ratio, top
from winnow.reducers.core.entrance import Chooser
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.reduction import View
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor

FIRST = 255
"""Value of the first frame's tokens, above any 1 - cosine."""


@dataclass(frozen=True)
class EVS(Released, Chooser):
    """Rank all tokens of a span by 1 - cosine to the frame before; the first frame stays whole, and so does a picture.

    Parameters
    ----------
    ratio : float
        Share of each span's visual tokens that enters the LLM, rounded down; never less than one frame, so that at a
        quarter all of a video of four frames but its first is gone.
    q : float or None
        The engines' knob, the share that is REMOVED; wins over `ratio`. Its floor is that of ``1 - q``: 79 of 800 at
        q=0.9.
    positions : {"keep", "compact"}
        Engines: keep.
    """

    native: ClassVar[tuple[str, ...]] = ("q",)

    q: float | None = None

    def __post_init__(self) -> None:
        """Turn q into the share kept."""
        if self.q is not None:
            check_ratio(1 - self.q, "1-q")
            object.__setattr__(self, "ratio", 1 - self.q)
        super().__post_init__()

    def keep_all(self) -> EVS:
        """See `Reducer.keep_all`."""
        return replace(self, q=None, ratio=1.0)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return min(present, max(grid.tokens_per_frame, int(grid.tokens * self.ratio)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: one cosine and two norms per token."""
        return 6 * present * width.hidden

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """See `Chooser.choose`."""
        return top(changed(tokens, span.frames, view), self.count(view.site, span.grid, len(tokens))).cpu()


def changed(tokens: Tensor, frames: int, view: View) -> Tensor:
    """1 - cosine of each token to the same place one frame earlier, `FIRST` in the first frame, ``(tokens,)``."""
    unlike = 1 - alike(tokens, frames, view)
    return torch.cat([torch.full_like(tokens[: len(tokens) // frames, 0], FIRST, dtype=unlike.dtype), unlike.flatten()])


def alike(tokens: Tensor, frames: int, view: View) -> Tensor:
    """Cosine of each token to the same place one frame earlier, in the model's own type, ``(frames - 1, places)``."""
    states = tokens.unflatten(0, (frames, -1)).to(view.hidden.dtype)  # as engines and released codes compare them
    return torch.nn.functional.cosine_similarity(states[1:], states[:-1], dim=-1)

"""DyCoke, first stage: in each group of four frames keep one whole, and of the others what changed.

Tao et al., "DyCoke: Dynamic Compression of Tokens for Fast Video Large Language Models" (CVPR 2025), section 3.2;
official `llava_arch.py`. The paper says that similar tokens are merged, the code drops them. Its second stage chooses
among stored keys while decoding and is not part of this method.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import check_ratio
from winnow.reducers.core.entrance import Chooser, Variant
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.reduction import View
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor

GROUP = 4


@dataclass(frozen=True)
class DyCoke(Chooser):
    """Compare equal places by cosine: frames 1 and 3 of a group with the frame before, frame 2 with frame 0.

    Parameters
    ----------
    ratio : float
        Share of tokens that each compared frame keeps, the least similar ones, rounded down; frame 0 stays whole.
    k : float or None
        The code's knob, the share that is DROPPED; wins over `ratio`. Paper: 0.7.
    variant : {"mended", "official"}
        The official code leaves frame 2 of the last group whole, loses an odd last frame, stops at videos of fewer than
        five frames (here: compares what pairs they have) and lists a frame's tokens by rising similarity. Mended: all
        groups are alike, no frame is lost, one token of a frame is kept at least, tokens stand in raster order.
    positions : {"compact", "keep"}
        Official: compact.
    """

    native: ClassVar[tuple[str, ...]] = ("k",)

    ratio: float = 0.3
    k: float | None = None
    variant: Variant = "mended"
    positions: Literal["keep", "compact"] = "compact"

    def __post_init__(self) -> None:
        """Turn k into the share kept."""
        if self.k is not None:
            check_ratio(1 - self.k, "1-k")
            object.__setattr__(self, "ratio", 1 - self.k)
        super().__post_init__()

    def keep_all(self) -> DyCoke:
        """See `Reducer.keep_all`."""
        return replace(self, k=None, ratio=1.0)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        if self.ratio >= 1:
            return present
        sizes = {"whole": grid.tokens_per_frame, "lost": 0, "compared": self._kept(grid)}
        return min(present, sum(sizes[self._fate(frame, grid.frames)] for frame in range(grid.frames)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: one cosine and two norms per token."""
        return 6 * present * width.hidden

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """See `Chooser.choose`."""
        frames = tokens.unflatten(0, (span.frames, -1))
        places = torch.arange(len(tokens)).view(span.frames, -1)
        kept = []
        for number, frame in enumerate(places):
            fate = self._fate(number, span.frames)
            if fate == "compared":
                other = number - (2 if number % GROUP == 2 else 1)
                alike = torch.nn.functional.cosine_similarity(frames[number], frames[other], dim=-1)
                least = alike.sort(stable=True).indices[: self._kept(span.grid)].cpu()
                kept.append(frame[least if self.variant == "official" else least.sort().values])
            elif fate == "whole":
                kept.append(frame)
        return torch.cat(kept)

    def _kept(self, grid: Grid) -> int:
        return max(int(self.variant == "mended"), int(grid.tokens_per_frame * self.ratio))

    def _fate(self, frame: int, frames: int) -> Literal["whole", "compared", "lost"]:
        """What becomes of a frame."""
        if self.variant == "official" and frame == frames - 1 and frames % 2 and frames > 1:
            return "lost"
        spared = self.variant == "official" and frame % GROUP == 2 and frame >= frames - 2
        return "whole" if frame % GROUP == 0 or spared else "compared"

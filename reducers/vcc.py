"""Visual context compressor: average-pool the visual tokens once, inside the LLM.

Chen et al., "Efficient Large Multi-modal Models via Visual Context Compression" (LLaVolta, NeurIPS 2024); official
`llava_llama.py`, a training scheme of which VAS runs one stage without training: stride 2 from layer 2 on. The official
code averages position ids in fp16, which is exact below 2048 only; here the mean is exact before it is rounded down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import Reducer, sites_of
from winnow.reducers.core.entrance import Variant
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.matching import merge_into
from winnow.reducers.core.pooling import Window, anchors, window_counts, windows
from winnow.reducers.core.reduction import Positions, Reduction, View
from winnow.reducers.core.released import settle
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class VCC(Reducer):
    """Replace each window of a frame by its mean; windows never reach over a frame's border.

    Parameters
    ----------
    ratio : float
        1/stride.
    stride : int or None
        The paper's knob, tokens per window; wins over `ratio`.
    mode : {"1d", "2d_w", "2d"}
        Windows along the raster (official), along the rows of the grid, or squares.
    variant : {"mended", "official"}
        Official: what fills no window is lost.
    remainder : {"own", "drop"} or None
        Tokens that fill no window become a smaller one of their own, or are dropped (official). None: as the variant.
    positions : {"mean", "keep", "compact", "restart"}
        Official: the mean of the members' ids.
    schedule : K or None
        VAS' row: k=2. None is the LLM's entrance.
    """

    native: ClassVar[tuple[str, ...]] = ("stride",)

    by_frame: ClassVar[bool] = True

    ratio: float = 0.5
    stride: int | None = None
    mode: Literal["1d", "2d_w", "2d"] = "1d"
    variant: Variant = "mended"
    remainder: Literal["own", "drop"] | None = None
    positions: Positions = "mean"
    schedule: K | None = K(2)

    def __post_init__(self) -> None:
        """Say what the variant decides, check the stride, then the choices."""
        settle(self, remainder=("own", "drop"))
        if self.window < 1 or (self.mode == "2d" and math.isqrt(self.window) ** 2 != self.window):
            allowed = "1, 4, 9, 16, ..." if self.mode == "2d" else "1, 2, 3, ..."
            raise WinnowError(f"stride={self.window} is not allowed with reducer.mode={self.mode}: choose {allowed}")
        super().__post_init__()

    @property
    def window(self) -> int:
        """Tokens in a full window."""
        return _stride(self.ratio) if self.stride is None else self.stride

    def keep_all(self) -> VCC:
        """See `Reducer.keep_all`."""
        return replace(self, stride=1)

    def knobs(self, depth: int) -> dict[str, object]:
        """See `Reducer.knobs`."""
        return super().knobs(depth) | {"stride": self.window}

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return sites_of(self.schedule, depth)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        grid, window = self._shape(grid)
        if self.remainder == "drop":
            return grid.frames * (grid.rows // window[1]) * (grid.cols // window[2])
        return math.prod(window_counts(grid, window))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: one addition per number."""
        return present * width.hidden

    def reduce(self, view: View) -> Reduction | None:
        """Merge each window; the first member stands for it."""
        ends = [self._anchors(span) for span in view.layout.spans]
        return merge_into(torch.cat(ends), view.visual, self.positions)

    def _anchors(self, span: Span) -> Tensor:
        """The token into which each cell is merged, -1 for those that are dropped."""
        number = windows(*self._shape(span.grid))
        first = anchors(number, span.positions, "first")
        partial = number.bincount()[number] < self.window
        return first.masked_fill(partial, -1) if self.remainder == "drop" else first

    def _shape(self, grid: Grid) -> tuple[Grid, Window]:
        """The grid as the mode sees it, and its windows."""
        if self.mode == "2d":
            return grid, (1, math.isqrt(self.window), math.isqrt(self.window))
        return grid._replace(columns=grid.tokens_per_frame if self.mode == "1d" else grid.cols), (1, 1, self.window)


def _stride(ratio: float) -> int:
    """The stride of a ratio.

    Raises
    ------
    WinnowError
        If it is not one over a whole number; lists the choices.
    """
    stride = round(1 / ratio) if ratio > 0 else 0
    if stride < 1 or abs(ratio * stride - 1) > 0.01:
        raise WinnowError(f"ratio={ratio} is not allowed: reducer=vcc takes 1/stride, choose 1, 0.5, 0.3333, 0.25, ...")
    return stride

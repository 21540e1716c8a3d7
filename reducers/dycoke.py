"""DyCoke: in each group of four frames keep one whole, and of the others what changed; perhaps read less of it later.

Tao et al., "DyCoke: Dynamic Compression of Tokens for Fast Video Large Language Models" (CVPR 2025), section 3;
official `llava_arch.py` and `modeling_qwen2.py`. The paper says that similar tokens are merged, the code drops them.
The second stage chooses among stored keys while decoding; none of them goes, so that it wins no memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import check_ratio, top
from winnow.reducers.core.decoding import StepView
from winnow.reducers.core.entrance import Chooser, Variant
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor

GROUP, STABLE = 4, 0.9
"""Frames of a group, and the cosine of attention to that of the step before from which on it has not changed."""


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
        The official code takes, in frames 1 and 3 of a group, the places that changed in the pair of frames before (in
        the first pair those of the last one), leaves frame 2 of the last group whole, loses an odd last frame, stops at
        videos of fewer than five frames (here: compares what pairs they have) and lists a frame's tokens by rising
        similarity. Mended: a frame is judged by itself, all groups are alike, no frame is lost, one token of a frame is
        kept at least, tokens stand in raster order. In the second stage the official code always reads the last visual
        token; what it remembers of the sample before is no part of this.
    decode : {"none", "code", "paper"}
        The second stage: the schedule's layer and later ones read the visual tokens to which a new token attends most
        in the layer before, mean over heads. ``code``: at steps whose attention has changed (the first one too), and
        everything at others. ``paper``: everything is chosen anew at steps whose attention has changed, and the same
        tokens are read at others. ``none``: the first stage alone.
    p : float
        The share that is not read there, of what is held. Official: 0.7.
    positions : {"compact", "keep"}
        Official: compact.
    """

    native: ClassVar[tuple[str, ...]] = ("k",)

    ratio: float = 0.3
    k: float | None = None
    variant: Variant = "mended"
    decode: Literal["none", "code", "paper"] = "none"
    p: float = 0.7
    positions: Literal["keep", "compact"] = "compact"
    schedule: K = K(3, of=28)

    def __post_init__(self) -> None:
        """Turn k into the share kept."""
        check_ratio(1 - self.p, "1-p")
        if self.k is not None:
            check_ratio(1 - self.k, "1-k")
            object.__setattr__(self, "ratio", 1 - self.k)
        super().__post_init__()

    def keep_all(self) -> DyCoke:
        """See `Reducer.keep_all`."""
        return replace(self, k=None, ratio=1.0, decode="none")

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        later = self.schedule.resolve(depth).acts if self.decode != "none" else ()
        return (*super().sites(depth, tower), *(Site.decode(number, depth) for number in later))

    def reduce(self, view: View | StepView) -> Reduction | None:
        """Choose in each span; while decoding, among the keys."""
        return self._read(view) if isinstance(view, StepView) else super().reduce(view)

    def _read(self, view: StepView) -> Reduction | None:
        """Which tokens a step reads; what was attended to and read is told to the next one."""
        before, read = view.told or (None, view.visual)
        similar = torch.nn.functional.cosine_similarity
        if before is None or float(similar(view.attention, before, dim=0)) < STABLE:
            free = view.visual[:-1] if self.variant == "official" else view.visual
            read = free[top(view.attention[: len(free)], int(len(free) * (1 - self.p)))]
            read = torch.cat([read, view.visual[len(free) :]])
        elif self.decode == "code":
            read = view.visual
        return Reduction(read, told=(view.attention, read))

    def knobs(self, depth: int) -> dict[str, object]:
        """See `Reducer.knobs`; without the second stage its numbers say nothing."""
        idle = ("p", "schedule") if self.decode == "none" else ()
        return {name: value for name, value in super().knobs(depth).items() if name not in idle}

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
                judged, other = self._compared(number, span.frames)
                alike = torch.nn.functional.cosine_similarity(frames[judged], frames[other], dim=-1)
                least = alike.sort(stable=True).indices[: self._kept(span.grid)].cpu()
                kept.append(frame[least if self.variant == "official" else least.sort().values])
            elif fate == "whole":
                kept.append(frame)
        return torch.cat(kept)

    def _compared(self, frame: int, frames: int) -> tuple[int, int]:
        """Which two frames say what stays of a frame."""
        if frame % 2 == 0:
            return frame, frame - 2
        judged = (frame - 2) % (frames - frames % 2) if self.variant == "official" else frame
        return judged, judged - 1

    def _kept(self, grid: Grid) -> int:
        return max(int(self.variant == "mended"), int(grid.tokens_per_frame * self.ratio))

    def _fate(self, frame: int, frames: int) -> Literal["whole", "compared", "lost"]:
        """What becomes of a frame."""
        if self.variant == "official" and frame == frames - 1 and frames % 2 and frames > 1:
            return "lost"
        spared = self.variant == "official" and frame % GROUP == 2 and frame >= frames - 2
        return "whole" if frame % GROUP == 0 or spared else "compared"

"""VidCom2: keep the tokens that are unlike the video and unlike their frame; distinctive frames keep more.

Liu et al., "Video Compression Commander" (EMNLP 2025), sections 3.2 and 3.3; official `token_compressor/vidcom2`. vLLM
(`--video-pruning-method vidcom2`) adds a last step that meets a count fixed beforehand: ``counts=exact``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import check_ratio
from winnow.reducers.core.entrance import Chooser
from winnow.reducers.core.greedy import unit
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.reduction import View
from winnow.reducers.core.released import settle
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor

BANDWIDTHS = (0.125, 0.25, 0.5, 1.0, 2.0)
TEMPERATURE = 0.01


@dataclass(frozen=True)
class VidCom2(Chooser):
    """Score tokens by Gaussian similarity to the video's mean and to their frame's, keep the lowest of each frame.

    The half of the channels with the lowest variance counts. Scores are computed in the model's own type, as the engine
    and the released code do; in bfloat16 they take few values, and ties, which go to the lower place, decide. The
    released code keeps LLaVA-Video's newlines behind a frame's tokens, here they stay in their rows, and leaves batches
    on Qwen unreduced. A picture is a single frame.

    Parameters
    ----------
    ratio : float
        Share of each span's visual tokens that enters the LLM on average.
    q : float or None
        vLLM's knob, the share that is REMOVED; wins over `ratio`.
    variant : {"engine", "official"}
        vLLM's step that makes the sum exact, or as released, without it.
    counts : {"exact", "official"} or None
        A frame keeps its rounded share, at least one token. official: that is all, and the sum is not exactly the
        budget (72 for 80). exact, as in vLLM: the most (least) typical tokens of all then go (come), down to the whole
        number below the budget, never below one per frame on average; a frame may lose all its tokens. None: as
        the variant.
    positions : {"keep", "compact"}
        Official: keep on Qwen, compact on LLaVA.
    """

    native: ClassVar[tuple[str, ...]] = ("q",)

    q: float | None = None
    variant: Literal["engine", "official"] = "engine"
    counts: Literal["exact", "official"] | None = None

    def __post_init__(self) -> None:
        """Turn q into the share kept, and the variant into its counts."""
        if self.q is not None:
            check_ratio(1 - self.q, "1-q")
            object.__setattr__(self, "ratio", 1 - self.q)
        settle(self, counts=("exact", "official"))
        super().__post_init__()

    @property
    def adaptive(self) -> bool:  # type: ignore[override]
        """Whether the video decides the count: in the official code."""
        return self.counts == "official"

    def keep_all(self) -> VidCom2:
        """See `Reducer.keep_all`."""
        return replace(self, q=None, ratio=1.0)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`; an estimate for the official code."""
        if self.adaptive:
            return min(present, grid.frames * max(1, round(grid.tokens_per_frame * self.ratio)))
        return min(present, max(grid.frames, int(grid.tokens * self.ratio)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: variances, then norms and two distances on half of the channels."""
        return 9 * present * width.hidden

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """See `Chooser.choose`."""
        own = tokens.to(view.hidden.dtype)  # engine and released code score in the model's own type
        to_video, to_frame = view.once("similarities", lambda: _similarities(_of_frames(own, span.grid)))
        typical = to_video + to_frame
        place = typical.argsort(dim=1, stable=True).argsort(dim=1)
        kept = (place < self._shares(to_video)[:, None]).flatten()
        if self.counts == "exact":
            kept = _reconciled(kept, typical.flatten(), self.count(view.site, span.grid, len(tokens)))
        return kept.nonzero().flatten().cpu()

    def _shares(self, to_video: Tensor) -> Tensor:
        """Tokens that each frame keeps, ``(frames,)``: the less it is like the video, the more."""
        likeness = to_video.mean(1)
        weight = ((likeness.min() - likeness) / TEMPERATURE).softmax(0)
        share = (self.ratio * (1 + weight - weight.mean())).clamp_max(1)
        return (share * to_video.shape[1]).round().long().clamp(1, to_video.shape[1])


def _of_frames(tokens: Tensor, grid: Grid) -> Tensor:
    return _steady(tokens).unflatten(0, (grid.frames, -1))


def _steady(tokens: Tensor) -> Tensor:
    """The half of the channels with the lowest variance over the video, at least one."""
    order = tokens.var(0, unbiased=False).argsort(stable=True)
    return tokens[:, order[: max(1, tokens.shape[1] // 2)].sort().values]


def _similarities(frames: Tensor) -> tuple[Tensor, Tensor]:
    """Gaussian similarity of each token to the video's mean and to its frame's, both ``(frames, tokens)``."""
    frames = unit(frames)
    centres = frames.mean((0, 1), keepdim=True), frames.mean(1, keepdim=True)
    distances = [(frames - centre).square().sum(-1) for centre in centres]
    video, frame = (sum((torch.exp(-d / (2 * width)) for width in BANDWIDTHS), torch.zeros_like(d)) for d in distances)
    return video, frame


def _reconciled(kept: Tensor, typical: Tensor, count: int) -> Tensor:
    """Drop the most typical tokens kept, or add the least typical others, until `count` are kept."""
    missing, kept = count - int(kept.sum()), kept.clone()
    among = (~kept if missing > 0 else kept).nonzero().flatten()
    order = typical[among].argsort(stable=True, descending=missing < 0)
    kept[among[order[: abs(missing)]]] = missing > 0
    return kept

"""V-CAST: frames where the video turns keep more; of each frame the tokens that are unlike it and long.

"V-CAST" (arXiv 2603.27650); official `modeling_qwen3_vl_v_cast.py`, for Qwen3-VL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from winnow.reducers.core.base import top
from winnow.reducers.core.entrance import Chooser
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.reduction import View
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor

TEMPERATURE, EPSILON = 0.7, 1e-6


@dataclass(frozen=True)
class VCast(Released, Chooser):
    """Share a span's budget among its frames by how sharply their means turn; then rank inside each frame.

    A frame's weight is the softmax of 1 minus the cosine between the steps to it and from it, 1 at both ends. Each
    frame gets one token and the floor of its weight's part of the others, at most all that it has. A token's score is 1
    minus its cosine to the frame's mean, plus its norm scaled to 0..1. A picture stays whole.

    Parameters
    ----------
    ratio : float
        Share of each span's visual tokens that enters the LLM; at least one a frame.
    rest : {"one", "spread"}
        Who gets what rounding leaves: the frame with the largest fraction until it is full, then the next, as the
        official code does it; or one each by falling fraction.
    positions : {"keep", "compact"}
        Official: keep.
    """

    rest: Literal["one", "spread"] = "one"

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return present if grid.frames < 2 else min(present, max(grid.frames, round(grid.tokens * self.ratio)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: a mean, two norms and a cosine per token."""
        return 8 * present * width.hidden

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """See `Chooser.choose`."""
        if span.frames < 2:
            return torch.arange(len(tokens))
        frames = tokens.unflatten(0, (span.frames, -1))
        means = torch.nn.functional.normalize(frames.mean(1), dim=-1, eps=EPSILON)
        given = self._given(means, self.count(view.site, span.grid, len(tokens)), frames.shape[1])
        length = frames.norm(dim=-1)
        least, most = length.amin(1, keepdim=True), length.amax(1, keepdim=True)
        unlike = 1 - torch.nn.functional.cosine_similarity(frames, means[:, None], dim=-1, eps=EPSILON)
        score = (unlike + (length - least) / (most - least + EPSILON)).cpu()
        kept = [top(row, count) + i * len(row) for i, (row, count) in enumerate(zip(score, given, strict=True))]
        return torch.cat(kept)

    def _given(self, means: Tensor, total: int, size: int) -> list[int]:
        """Tokens that each frame keeps."""
        steps = means[1:] - means[:-1]
        ends = steps.new_ones(1)
        turn = torch.cat(
            [ends, 1 - torch.nn.functional.cosine_similarity(steps[:-1], steps[1:], dim=-1, eps=EPSILON), ends]
        )
        part = (turn / TEMPERATURE).softmax(0) * (total - len(means))
        given = (1 + part.floor().long()).clamp_max(size).tolist()
        rank = (part - part.floor()).sort(descending=True, stable=True).indices.tolist()
        while (left := total - sum(given)) > 0:
            open_ = [frame for frame in rank if given[frame] < size]
            for frame in open_[:1] if self.rest == "one" else open_[:left]:
                given[frame] += min(left, size - given[frame]) if self.rest == "one" else 1
        return given

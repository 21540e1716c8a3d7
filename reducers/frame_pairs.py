"""Frame pairs: of two neighbouring frames keep the one that the text attends to more, or less.

VAS' own check of its signal (section 3): keeping the more attended frame of each pair reaches 46.0, the less attended
40.5. No method to use, but the shortest test of whether attention per frame means anything on a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from winnow.reducers.core.base import Ranker, sites_of
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.probes import Probe, Rows
from winnow.reducers.core.reduction import View
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor

    from winnow.reducers.core.layout import Grid, Span

WON, ALONE, LOST = 1.0, 0.5, 0.0


@dataclass(frozen=True)
class FramePairs(Ranker):
    """Rank frames within pairs by the text's attention in layer k-1, keep one of each pair from layer k on.

    A last frame without a neighbour stays, and so does a picture; ties go to the earlier frame.

    Parameters
    ----------
    schedule : K
        Where. The paper does not say from which layer it takes the attention.
    """

    schedule: K = K(2)

    def __post_init__(self) -> None:
        """Refuse the entrance, where nothing has been attended to yet."""
        if self.schedule is None:
            raise WinnowError("reducer=frame_pairs reads the attention of layer k-1: give it a schedule of kind k")
        super().__post_init__()

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return sites_of(self.schedule, depth)

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`."""
        return ((Rows("text"), self.schedule.resolve(depth).k - 1),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: half of the frames, rounded up."""
        return min(present, (grid.frames + 1) // 2 * grid.tokens_per_frame)

    def score(self, view: View) -> Tensor:
        """See `Ranker.score`: 1 for the tokens of the frame that won, 0 for the one that lost."""
        received = view.signals[Rows("text"), view.layer - 1]
        scores = torch.full((view.layout.length,), ALONE)
        for span in view.layout.spans:
            scores[span.positions] = _verdicts(span, received).repeat_interleave(span.rows * span.cols)
        return scores[view.visual]


def _verdicts(span: Span, received: Tensor) -> Tensor:
    """Which frames of a span won, lost, or stand alone, shape ``(frames,)``."""
    frames = received[span.positions].float().view(span.frames, -1).sum(1)
    verdicts = torch.full((span.frames,), ALONE)
    for first in range(0, span.frames - 1, 2):
        better = first if frames[first] >= frames[first + 1] else first + 1
        verdicts[first], verdicts[first + 1] = LOST, LOST
        verdicts[better] = WON
    return verdicts

"""AIM's ablation: merge the tokens of adjacent frames instead of those inside a frame.

AIM, Table B ("temporal merging"); there is no code. The ratios of the table are halvings, so each iteration pairs the
frames (0, 1), (2, 3), ...: every token of the earlier joins the most similar token of the later, in a plain mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from winnow.reducers.core.base import Reducer, halvings
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.matching import block_diagonal, follow, group_mean
from winnow.reducers.core.reduction import Positions, Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class AIMTemporal(Reducer):
    """Halve the number of frames at the LLM's entrance; an odd last frame passes through.

    Parameters
    ----------
    ratio : float
        Share of frames that is left, a power of one half.
    aligned : bool
        Merge equal positions instead of similar tokens: the plain temporal average.
    positions : {"compact", "keep", "mean", "restart"}
        See `AIMMerge`.
    """

    ratio: float = 0.5
    aligned: bool = False
    positions: Positions = "compact"

    def __post_init__(self) -> None:
        """Check the choices, then that the ratio halves."""
        super().__post_init__()
        halvings(self.ratio)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return (Site.entrance(depth),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return -(-grid.frames // 2 ** halvings(self.ratio)) * grid.tokens_per_frame

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: every token of a frame against those of its partner."""
        pairs = [grid.frames // 2 ** (i + 1) for i in range(halvings(self.ratio))]
        similar = 0 if self.aligned else 2 * grid.tokens_per_frame**2 * width.hidden
        return sum(pairs) * (similar + 8 * grid.tokens_per_frame * width.hidden)

    def reduce(self, view: View) -> Reduction | None:
        """Merge each span."""
        spans = view.layout.spans
        frames = view.visual_hidden.split([len(span) for span in spans])
        merged = [self._merge(x.unflatten(0, (s.frames, -1))) for x, s in zip(frames, spans, strict=True)]
        keep = torch.cat([span.positions[anchor] for span, (anchor, _) in zip(spans, merged, strict=True)])
        weights = block_diagonal([weights for _, weights in merged])
        return None if len(keep) == len(view.visual) else Reduction(keep, weights, self.positions)

    def _merge(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Anchors and weights of one span, given its embeddings ``(frames, tokens, width)``."""
        frames, tokens = frames.float(), frames.shape[1]
        anchor = torch.arange(len(frames) * tokens).view(-1, tokens)
        group, share = anchor.flatten(), torch.ones(anchor.numel())
        for _ in range(halvings(self.ratio)):
            pairs = len(frames) // 2
            later = 2 * torch.arange(pairs) + 1
            slot = torch.arange(len(frames))[:, None] // 2 * tokens + torch.arange(tokens)
            if not self.aligned:
                slot[later - 1] += _partner(frames[later - 1], frames[later]) - torch.arange(tokens)
            anchor = torch.cat([anchor[later], anchor[2 * pairs :]])
            mean = group_mean(slot.flatten(), anchor.numel())
            frames = torch.sparse.mm(mean.to(frames.device), frames.flatten(0, 1)).unflatten(0, (-1, tokens))
            group, share = follow(group, share, slot.flatten())
        return anchor.flatten(), group_mean(group, anchor.numel(), share)


def _partner(earlier: Tensor, later: Tensor) -> Tensor:
    """Most similar token of the later frame for each of the earlier one's, shape ``(pairs, tokens)``, on the CPU."""
    normalize = torch.nn.functional.normalize
    return (normalize(earlier, dim=-1) @ normalize(later, dim=-1).mT).max(-1).indices.cpu()

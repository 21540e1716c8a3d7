"""LLaVA-Scissor: merge what is connected by likeness in each frame, then over the frames, and share the rest out.

Sun et al., "LLaVA-Scissor: Token Compression with Semantic Connected Components for Video LLMs" (arXiv 2506.21862);
official `llava_arch_zip.py`. Its published numbers are of a base model that was trained again, on frames without
newlines. The released code finds components among nodes that it draws at random, all of them up to 3233 nodes, and
leaves out of a mean the members that its union-find has not linked to the root yet; components here are whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import torch

from winnow.reducers.core.clusters import components
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import unit
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.matching import sparse
from winnow.reducers.core.merger import Merger, alone, rows_of
from winnow.reducers.core.reduction import Positions, View
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Scissor(Released, Merger):
    """Tokens are linked where their cosine, in the model's own type, is above `tau`; a component becomes its mean.

    First in each frame, then among the means of all frames; every token is then added to the most similar of what is
    left, which is divided by how many were added and itself. A merged token stands at the place of its component's
    token with the most links, the first of them.

    Parameters
    ----------
    ratio : float
        Only estimates what stays, for plans; how much it is the content decides.
    tau : float
        Cosine above which tokens are linked. Official: 0.95.
    positions : {"compact", "keep", "mean", "restart"}
        Official: compact.
    """

    adaptive: ClassVar[bool] = True

    tau: float = 0.95
    positions: Positions = "compact"

    def __post_init__(self) -> None:
        """Check the threshold, then the rest."""
        if self.tau < -1:
            raise WinnowError(f"reducer.tau={self.tau} is not allowed: choose a cosine; above 1 nothing merges")
        super().__post_init__()

    def keep_all(self) -> Scissor:
        """See `Reducer.keep_all`."""
        return replace(self, tau=2.0)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: an estimate."""
        return present if self.tau > 1 else min(present, max(1, round(grid.tokens * self.ratio)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: cosines in frames, among what they leave, and of all tokens to what is left."""
        left = self.count(site, grid, present)
        return 2 * (grid.tokens_per_frame * present + left**2 + left * present) * width.hidden

    def merge(self, tokens: Tensor, span: Span, view: View) -> tuple[Tensor, Tensor]:
        """See `Merger.merge`."""
        if self.tau > 1:
            return rows_of([alone(torch.arange(len(tokens)))], len(tokens))
        tokens = tokens.to(view.hidden.dtype)  # the released code compares in the model's own type
        frames, size = tokens.unflatten(0, (span.frames, -1)), len(tokens) // span.frames
        told = [self._components(frame) for frame in frames]
        slots, group = _together([heads + f * size for f, (heads, _) in enumerate(told)], [own for _, own in told])
        means = _means(tokens, group, len(slots))
        heads, over = self._components(means)
        merged, final = over[group], _means(means, over, len(heads))
        nearest = (unit(tokens) @ unit(final).mT).argmax(1).cpu()
        each = 1 / (group.bincount()[group] * over.bincount()[merged])
        shared = 1 + nearest.bincount(minlength=len(heads))
        entries = torch.stack([torch.cat([merged, nearest]), torch.arange(len(tokens)).repeat(2)])
        weights = torch.cat([each, torch.ones(len(tokens))]) / shared[entries[0]]
        return slots[heads], sparse(entries, weights.float(), (len(heads), len(tokens)))

    def _components(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Of each component the first token with the most links, ascending; and which component each token is in."""
        states = unit(tokens)
        linked = states @ states.mT > self.tau
        _, own = components(linked).unique(return_inverse=True)
        links = linked.sum(1).cpu()
        rank = torch.arange(len(own)) - links * len(own)  # the lowest: most links, then the first place
        best = torch.full((int(own.max()) + 1,), len(own)).scatter_reduce_(0, own, rank, "amin")
        heads, order = (best % len(own)).sort()
        return heads, torch.empty_like(order).index_copy_(0, order, torch.arange(len(order)))[own]


def _together(heads: list[Tensor], own: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Components of all frames, one frame after the other."""
    starts = torch.tensor([0, *(len(found) for found in heads)]).cumsum(0)
    return torch.cat(heads), torch.cat([of + start for of, start in zip(own, starts, strict=False)])


def _means(tokens: Tensor, group: Tensor, groups: int) -> Tensor:
    """The mean of each group in the type of the tokens, shape ``(groups, width)``."""
    exact = tokens.to(torch.promote_types(tokens.dtype, torch.float32))
    where, size = group.to(tokens.device), group.bincount(minlength=groups).to(exact)
    return (exact.new_zeros(groups, tokens.shape[1]).index_add_(0, where, exact) / size[:, None]).to(tokens)

"""What the methods share that choose among the tokens of a span at the LLM's entrance."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import torch

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Grid, Span
from winnow.reducers.core.matching import one_each
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor

Variant = Literal["mended", "official"]
"""The released code without its plain defects, or with them."""


@dataclass(frozen=True)
class Chooser(Reducer, ABC):
    """Base of the methods that keep some tokens of each span as they are, judged by their embeddings.

    Parameters
    ----------
    ratio : float
        Share of each span's visual tokens that enters the LLM, in (0, 1].
    positions : {"keep", "compact"}
        Position ids of the survivors.
    """

    ratio: float = 0.25
    positions: Literal["keep", "compact"] = "keep"

    @abstractmethod
    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """Choose among the tokens of one span; with ``scope=prompt``, of all spans as one.

        Parameters
        ----------
        tokens : Tensor
            Their embeddings in raster order, shape ``(len(span), width)``, in single precision or better.
        span : Span
            Where they stand.
        view : View
            The whole prompt; its notes are those of this span, see `View.ranked`.

        Returns
        -------
        Tensor
            Places of the tokens kept in the order in which they are to stand, on the CPU; a place that is named twice
            stands twice; -1 is a vector of zeros.
        """

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return (Site.entrance(depth),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: the rounded share (a half to the even number), at least one token."""
        return min(present, max(1, round(grid.tokens * self.ratio)))

    def reduce(self, view: View) -> Reduction | None:
        """Choose in each span."""
        if self.ratio >= 1:
            return None
        spans = view.layout.pools(self.scope)
        embeddings = view.visual_hidden.split([len(span) for span in spans])
        exact = torch.promote_types(view.hidden.dtype, torch.float32)
        notes = [view.once((self.scope, place), dict[Hashable, Any]) for place in range(len(spans))]
        views = [replace(view, notes=of) for of in notes]
        chosen = [self.choose(x.to(exact), s, v) for x, s, v in zip(embeddings, spans, views, strict=True)]
        return arrange([span.positions for span in spans], chosen, view.visual, self.positions)


def arrange(
    spans: Sequence[Tensor], chosen: Sequence[Tensor], visual: Tensor, positions: Literal["keep", "compact"]
) -> Reduction | None:
    """Let the chosen tokens of each span stand in the order given.

    Parameters
    ----------
    spans : sequence of Tensor
        Prompt indices of each span's tokens.
    chosen : sequence of Tensor
        Places in each span, see `Chooser.choose`.
    visual : Tensor
        All prompt indices of the spans, ascending.
    positions : {"keep", "compact"}
        See `Chooser`.

    Returns
    -------
    Reduction or None
        None if every token stays where it is.
    """
    keep = torch.cat([span[fill(picks, len(span))] for span, picks in zip(spans, chosen, strict=True)])
    content = torch.cat([span[picks].where(picks >= 0, -1) for span, picks in zip(spans, chosen, strict=True)])
    if not torch.equal(keep, content):
        own = torch.searchsorted(visual, content).where(content >= 0, -1)
        return Reduction(keep, one_each(own, len(visual)), positions)
    return None if len(keep) == len(visual) else Reduction(keep, positions=positions)


def fill(picks: Tensor, size: int) -> Tensor:
    """As many different places as there are picks, ascending: those picked; for repeated ones the first unpicked."""
    named = torch.zeros(size, dtype=torch.bool).index_fill_(0, picks[picks >= 0], True)
    free = (~named).nonzero().flatten()[: len(picks) - int(named.sum())]
    return named.index_fill_(0, free, True).nonzero().flatten()

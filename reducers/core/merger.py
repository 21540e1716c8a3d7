"""What the methods share that merge a span's tokens at the LLM's entrance, and perhaps drop some once more inside."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch

from winnow.reducers.core.base import Reducer, check_ratio, sites_of, top
from winnow.reducers.core.layout import Grid, Span
from winnow.reducers.core.matching import block_diagonal, sparse
from winnow.reducers.core.probes import Probe, Rows
from winnow.reducers.core.reduction import Positions, Reduction, View
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerProbe
from winnow.reducers.core.tower_methods import Guide, guide_probe

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Merger(Reducer, ABC):
    """Base of the methods that leave weighted sums of each span's tokens.

    Parameters
    ----------
    ratio : float
        Share of each span's visual tokens that enters the LLM, in (0, 1].
    positions : {"keep", "compact", "mean", "restart"}
        Position ids of the merged tokens.
    """

    ratio: float = 0.25
    positions: Positions = "keep"

    @abstractmethod
    def merge(self, tokens: Tensor, span: Span, view: View) -> tuple[Tensor, Tensor]:
        """Merge the tokens of one span.

        Parameters
        ----------
        tokens : Tensor
            Their embeddings in raster order, shape ``(len(span), width)``, in single precision or better.
        span : Span
            Where they stand.
        view : View
            The whole prompt.

        Returns
        -------
        tuple of Tensor
            In the order in which merged tokens are to stand, on the CPU: the place of each, ``(rows,)``, of which
            several may have the same; and the weights, sparse, ``(rows, len(span))``. See `rows_of` and `raster`.
        """

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return (Site.entrance(depth),)

    def reduce(self, view: View) -> Reduction | None:
        """Merge each span."""
        spans, exact = view.layout.spans, torch.promote_types(view.hidden.dtype, torch.float32)
        tokens = view.visual_hidden.to(exact).split([len(span) for span in spans])
        merged = [self.merge(states, span, view) for span, states in zip(spans, tokens, strict=True)]
        if all(_alone(*x, len(span)) for x, span in zip(merged, spans, strict=True)):
            return None
        keep = [span.positions[spread(slots, len(span))] for span, (slots, _) in zip(spans, merged, strict=True)]
        return Reduction(torch.cat(keep), block_diagonal([weights for _, weights in merged]), self.positions)


@dataclass(frozen=True)
class TwoStages(Merger, ABC):
    """Base of the methods that merge at the entrance and keep a share of what entered inside the LLM.

    Parameters
    ----------
    second : float
        Share of what entered that is left from the schedule's layer on, in (0, 1]; 1: all.
    guide : {"auto", "cls", "mean"}
        Whose attention in the tower's last used block: the CLS token's, the mean over all patches', or CLS where there
        is one.
    positions : {"compact", "keep", "mean", "restart"}
        Of the first stage; the second keeps them, unless they are compact anyway.
    schedule : K
        Where the second stage acts.
    """

    second: float = 1.0
    guide: Guide = "auto"
    positions: Positions = "compact"
    schedule: K = K(16, of=32)

    def __post_init__(self) -> None:
        """Check the shares, then the choices."""
        check_ratio(self.second, "second")
        super().__post_init__()

    def keep_all(self) -> Self:
        """See `Reducer.keep_all`."""
        everything: dict[str, Any] = {"ratio": 1.0, "second": 1.0}
        return replace(self, **everything)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return (*super().sites(depth), *(sites_of(self.schedule, depth) if self.second < 1 else ()))

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`: what the second stage ranks by."""
        return tuple(self.ranks(site.number) for site in self.sites(depth)[1:])

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        return ((guide_probe(self.guide, tower), tower.used - 1),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return min(present, self.entering(grid) if site.kind == "entrance" else self.left(present))

    @abstractmethod
    def entering(self, grid: Grid) -> int:
        """Tokens of a span that enter the LLM; an estimate where the content decides."""

    def left(self, present: int) -> int:
        """Tokens of a span that the second stage leaves: the rounded share, at least one."""
        return max(1, round(present * self.second)) if present else 0

    def ranks(self, layer: int) -> tuple[Probe, int]:
        """By which statistic the second stage ranks in front of a layer: the last token's attention before it."""
        return Rows("last"), layer - 1

    def reduce(self, view: View) -> Reduction | None:
        """Merge at the entrance, drop inside."""
        if view.site.kind != "entrance":
            return self.drop(view)
        return super().reduce(view) if self.ratio < 1 else None

    def drop(self, view: View) -> Reduction:
        """Keep what is attended to most of each span; ties go to the lower place."""
        attention, kept = view.signals[self.ranks(view.layer)], []
        for span in view.layout.spans:
            here = span.positions[view.present(span)]
            kept.append(here[top(attention[here], self.left(len(here)))])
        return Reduction(torch.cat(kept), positions=self.positions)


def told_by_tower(view: View) -> list[Tensor]:
    """What the blocks of the vision tower say of each token of the prompt, by rising block, each ``(length, ...)``."""
    found = {block: value for (probe, block), value in view.signals.items() if isinstance(probe, TowerProbe)}
    return [found[block] for block in sorted(found)]


class Part(NamedTuple):
    """Some merged tokens: the place of each, ``(rows,)``; and which token weighs how much in which, ``(entries,)``."""

    slots: Tensor
    token: Tensor
    row: Tensor
    weight: Tensor


def alone(places: Tensor) -> Part:
    """Tokens that stay as they are."""
    return Part(places, places, torch.arange(len(places)), torch.ones(len(places)))


def rows_of(parts: Sequence[Part], size: int) -> tuple[Tensor, Tensor]:
    """Places and weights of several parts of a span of so many tokens, one behind the other."""
    starts = torch.tensor([0, *(len(part.slots) for part in parts)]).cumsum(0)
    row = torch.cat([part.row + start for part, start in zip(parts, starts, strict=False)])
    token, weight = torch.cat([part.token for part in parts]), torch.cat([part.weight for part in parts])
    slots = torch.cat([part.slots for part in parts])
    return slots, sparse(torch.stack([row, token]), weight.float(), (len(slots), size))


def raster(slots: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """The same merged tokens in the order of their places."""
    by = slots.sort(stable=True)
    return by.values, weights.index_select(0, by.indices)


def spread(slots: Tensor, size: int) -> Tensor:
    """Different places, rising: whoever finds a place taken goes to the next free one, at the end before it.

    Parameters
    ----------
    slots : Tensor
        Shape ``(rows,)``, at most `size`.
    size : int
        Places that there are.
    """
    slots, number = slots.sort().values, torch.arange(len(slots))
    free = (slots - number).cummax(0).values + number if len(slots) else slots
    return torch.minimum(free, number + size - len(slots))


def _alone(slots: Tensor, weights: Tensor, size: int) -> bool:
    """Whether every token of a span stays as it is, and where it is."""
    return len(slots) == size == weights._nnz() and torch.equal(slots, torch.arange(size))

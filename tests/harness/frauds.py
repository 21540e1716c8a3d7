"""Planted frauds, each of which passes for a method in a table of accuracies, and which the report card must catch."""

from dataclasses import dataclass
from itertools import count

import torch

from winnow.reducers.core.base import Reducer, Scorer
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower


@dataclass(frozen=True)
class NoOp(Reducer):
    """Claims a ratio and keeps every token."""

    adaptive = True
    ratio: float = 0.5

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        return (Site.layer(2, depth),)

    def reduce(self, view: View) -> Reduction | None:
        return None

    def count(self, site: Site, grid: Grid, present: int) -> int:
        return round(present * self.ratio)


@dataclass(frozen=True)
class OneAnswer(Scorer):
    """Writes nothing over all that it keeps, so that the model answers what it says of nothing."""

    def score(self, view: View) -> torch.Tensor:
        return torch.arange(len(view.visual), dtype=torch.float)

    def reduce(self, view: View) -> Reduction | None:
        found = super().reduce(view)
        if found is None:
            return None
        nothing = torch.sparse_coo_tensor(torch.zeros(2, 0), torch.zeros(0), (len(found.keep), len(view.visual)))
        return Reduction(found.keep, nothing)


CALLS = count()


@dataclass(frozen=True)
class Stateful(Scorer):
    """Remembers how many samples it has seen, and keeps other tokens for it."""

    def score(self, view: View) -> torch.Tensor:
        return (torch.arange(len(view.visual)) - 7.0 * next(CALLS)) % len(view.visual)

"""Uniform sampling: the control that keeps tokens as evenly as can be, in time and in space.

Taking every n-th token would fall in step with the grid and keep the same column of every frame. Here the fractional
part of an irrational step per column, row and frame says when a cell has its turn, and the frames take turns: any
budget is spread evenly over frames, rows and columns, and a smaller one is part of a larger one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from winnow.reducers.core.base import Scorer
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.reduction import View

if TYPE_CHECKING:
    from torch import Tensor

GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True)
class Uniform(Scorer):
    """Keep an even sample of each span; with ``scope=prompt`` an even sample of the prompt."""

    def score(self, view: View) -> Tensor:
        """See `Scorer.score`."""
        return torch.cat([_share(span.grid)[view.present(span)] for span in view.layout.spans])


def _share(grid: Grid) -> Tensor:
    """Minus the share of the cells that have had their turn, so that spans of any size can be ranked together."""
    return -(turns(grid) + 0.5) / grid.tokens


def turns(grid: Grid) -> Tensor:
    """The turn at which each cell is taken, a permutation of ``0 .. tokens - 1``."""
    frame, row, col = (torch.arange(n, dtype=torch.double) for n in (grid.frames, grid.rows, grid.cols))
    phase = (frame[:, None, None] * math.sqrt(3) + row[:, None] * math.sqrt(2) + col * GOLDEN) % 1
    inside = phase.flatten(1).argsort(stable=True, dim=1).argsort(1)
    order = (frame * GOLDEN % 1).argsort(stable=True).argsort()
    return (inside * grid.frames + order[:, None]).flatten()

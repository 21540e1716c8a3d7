"""Uniform sampling: the control that keeps tokens as evenly as can be, in time and in space.

Taking every n-th token would fall in step with the grid and keep the same column of every frame. Here each frame orders
its cells by a threshold mask of low discrepancy (Roberts' plastic-number sequence) that moves on from frame to frame,
and the frames take turns: any budget is spread evenly, and a smaller one is part of a larger one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from reducers.base import Scorer
from reducers.layout import Grid
from reducers.reduction import View

PLASTIC = 1.2207440846057596
"""The root of x^4 = x + 1: its inverse powers fill three dimensions evenly."""


@dataclass(frozen=True)
class Uniform(Scorer):
    """Keep an even sample of each span."""

    def score(self, view: View) -> Tensor:
        """See `Scorer.score`."""
        turns = [-turn(span.grid)[view.present(span)] for span in view.layout.spans]
        return torch.cat(turns)


def turn(grid: Grid) -> Tensor:
    """The turn at which each cell is taken, a permutation of ``0 .. tokens - 1``."""
    frame, row, col = (torch.arange(n, dtype=torch.double) for n in (grid.frames, grid.rows, grid.cols))
    phase = frame[:, None, None] / PLASTIC + row[:, None] / PLASTIC**2 + col / PLASTIC**3
    inside = (phase % 1).flatten(1).argsort(stable=True, dim=1).argsort(1)
    order = (frame / PLASTIC % 1).argsort(stable=True).argsort()
    return (inside * grid.frames + order[:, None]).flatten()

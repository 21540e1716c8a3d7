"""Windows over the grid of a span, for methods that pool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch

from winnow.reducers.core.layout import Grid

if TYPE_CHECKING:
    from torch import Tensor

Window = tuple[int, int, int]
"""Frames, rows and columns of a window."""


def windows(grid: Grid, window: Window) -> Tensor:
    """Number of the window in which each cell lies, windows counted in raster order, shape ``(tokens,)``."""
    sides = (grid.frames, grid.rows, grid.cols)
    frame, row, col = (torch.arange(side) // length for side, length in zip(sides, window, strict=True))
    _, rows, cols = window_counts(grid, window)
    return ((frame[:, None, None] * rows + row[:, None]) * cols + col).flatten()


def window_counts(grid: Grid, window: Window) -> Window:
    """Windows along frames, rows and columns, partly filled ones included."""
    return -(-grid.frames // window[0]), -(-grid.rows // window[1]), -(-grid.cols // window[2])


def lowest(values: Tensor, cells: Tensor, grid: Grid, window: Window) -> Tensor:
    """Which token has the lowest value of each window that holds any, ties to the first, by rising value.

    Parameters
    ----------
    values : Tensor
        One of each token, shape ``(n,)``.
    cells : Tensor
        Where in the grid each token is, shape ``(n,)``.
    grid, window
        See `windows`.
    """
    rank = values.sort(stable=True).indices
    number = windows(grid, window)[cells[rank]]
    first = torch.full((grid.tokens,), len(rank)).scatter_reduce_(0, number, torch.arange(len(rank)), "amin")
    return rank[first[first < len(rank)].sort().values]


def anchors(number: Tensor, positions: Tensor, which: Literal["first", "last"]) -> Tensor:
    """First or last prompt index in the window of each token.

    Parameters
    ----------
    number : Tensor
        The window of each token, shape ``(n,)``.
    positions : Tensor
        The prompt index of each token, shape ``(n,)``.
    which : {"first", "last"}
        The member that stands for its window.
    """
    if not len(number):
        return positions
    best = positions.new_zeros(int(number.max()) + 1)
    best.scatter_reduce_(0, number, positions, "amin" if which == "first" else "amax", include_self=False)
    return best[number]

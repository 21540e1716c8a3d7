"""The shapes of one prefill: which tokens of which prompt stand in which column, at each stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Stage:
    """A reduced sequence, valid from one layer on.

    Parameters
    ----------
    columns : Tensor
        For each column its source in the sequence that layer 0 saw (or, at the entrance, in the padded prompt),
        shape ``(batch, n)``. Padding columns repeat the sample's first token.
    valid : Tensor
        Which columns hold real tokens, shape ``(batch, n)``; padding is on the left.
    positions : Tensor or None
        Position ids where they are no longer the original ones, shape ``(batch, n)``.
    shift : Tensor or None
        How far the positions of later tokens lie below the original ones, shape ``(batch,)``.
    """

    columns: Tensor
    valid: Tensor
    positions: Tensor | None = None
    shift: Tensor | None = None

    @property
    def ragged(self) -> bool:
        """Whether some columns are padding."""
        return not bool(self.valid.all())


def pad_left(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Stack index vectors of different lengths, padded on the left with each row's first value.

    Returns
    -------
    tuple of Tensor
        The indices ``(batch, n)`` and which of them are real ``(batch, n)``.
    """
    width = max(len(row) for row in rows)
    columns = torch.stack([torch.cat([row[:1].expand(width - len(row)), row]) for row in rows])
    lengths = torch.tensor([len(row) for row in rows])
    return columns, torch.arange(width) >= (width - lengths)[:, None]


def compact_positions(first: Tensor, valid: Tensor) -> Tensor:
    """Positions without gaps, counted from each sample's `first`, shape ``(batch, n)``; padding gets `first` too."""
    rank = valid.long().cumsum(1) - 1
    return first[:, None] + rank.clamp(min=0)


def take(values: Tensor, columns: Tensor, dim: int) -> Tensor:
    """Gather per sample along `dim`; the batch dimension is 0 and may be 1, trailing dimensions are carried along."""
    values = values.expand(len(columns), *values.shape[1:])
    index = columns.to(values.device).view(len(columns), *[1] * (dim - 1), -1, *[1] * (values.ndim - dim - 1))
    return values.gather(dim, index.expand(*values.shape[:dim], columns.shape[1], *values.shape[dim + 1 :]))

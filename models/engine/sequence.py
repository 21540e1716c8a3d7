"""The shapes of one prefill: which tokens of which prompt stand in which column, at each stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from winnow.models.engine.fetched import onto
from winnow.reducers.core.reduction import Reduction


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
    added : Tensor or None
        What attention adds to the logits of each column's key, shape ``(batch, n)``; None: nothing.
    """

    columns: Tensor
    valid: Tensor
    positions: Tensor | None = None
    shift: Tensor | None = None
    added: Tensor | None = None

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


def restart_positions(positions: Tensor, visual: Tensor) -> Tensor:
    """Positions with which text follows what is left in front of it without a gap; pictures keep their own gaps.

    Parameters
    ----------
    positions : Tensor
        Position ids of what is left, ``(batch, n)``; padding repeats the first token's.
    visual : Tensor
        Which of it are visual tokens, ``(batch, n)``.
    """
    steps = torch.diff(positions, dim=1)
    steps = torch.where(visual[:, 1:], steps, steps.clamp(max=1))
    return torch.cat([positions[:, :1], positions[:, :1] + steps.cumsum(1)], 1)


def mean_positions(
    positions: Tensor,
    answers: Sequence[Reduction | None],
    index: Sequence[Tensor],
    visual: Sequence[Tensor],
    tail: int = 0,
) -> Tensor:
    """Give each merged token the weighted mean of its members' positions, rounded down.

    Parameters
    ----------
    positions : Tensor
        Current position ids, ``(batch, n)``.
    answers : sequence of Reduction or None
        One per prompt.
    index : sequence of Tensor
        Prompt indices present, per prompt; they stand in the last columns before the tail.
    visual : sequence of Tensor
        Mask of the visual tokens, per prompt.
    tail : int
        Columns behind the prompts.

    Returns
    -------
    Tensor
        Shape ``(batch, n)``, changed at the anchors.
    """
    positions = positions.clone()
    for b, answer in enumerate(answers):
        if answer is None or answer.weights is None or answer.positions != "mean":
            continue
        start = positions.shape[1] - tail - len(index[b])
        members = visual[b][index[b]].nonzero().flatten() + start
        weights = answer.weights.cpu().double()
        total = torch.sparse.mm(weights, torch.ones(len(members), 1, dtype=torch.double))
        mean = torch.sparse.mm(weights, positions[b, members, None].double()) / total
        positions[b, torch.searchsorted(index[b], answer.keep.contiguous()) + start] = (mean[:, 0] + 1e-6).long()
    return positions


def take(values: Tensor, columns: Tensor, dim: int) -> Tensor:
    """Gather per sample along `dim`; the batch dimension is 0 and may be 1, trailing dimensions are carried along."""
    values = values.expand(len(columns), *values.shape[1:])
    index = onto(columns, values.device).view(len(columns), *[1] * (dim - 1), -1, *[1] * (values.ndim - dim - 1))
    return values.gather(dim, index.expand(*values.shape[:dim], columns.shape[1], *values.shape[dim + 1 :]))

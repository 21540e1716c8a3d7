"""Merging: sparse weight matrices, and the bipartite soft matching that several methods share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import torch

from winnow.reducers.core.reduction import Positions, Reduction

if TYPE_CHECKING:
    from torch import Tensor


def group_mean(group: Tensor, groups: int, size: Tensor | None = None) -> Tensor:
    """Weights of the mean of each group of tokens.

    Parameters
    ----------
    group : Tensor
        The group of each token, ``0 .. groups - 1``, or -1 for a token that is dropped; shape ``(n,)``.
    groups : int
        Rows of the result.
    size : Tensor or None
        Weight of each token inside its group, shape ``(n,)``; None: all equal.

    Returns
    -------
    Tensor
        Sparse, shape ``(groups, n)``; every row sums to one.
    """
    member = (group >= 0).nonzero().flatten()
    rows = group[member]
    mass = torch.ones(len(member)) if size is None else size[member].float()
    total = torch.zeros(groups).index_add_(0, rows, mass)
    return sparse(torch.stack([rows, member]), mass / total[rows], (groups, len(group)))


def one_each(content: Tensor, tokens: int) -> Tensor:
    """Weights that let some tokens stand as they are, in any order, perhaps more than once.

    Parameters
    ----------
    content : Tensor
        Which token each row is, -1 for a row of zeros, shape ``(rows,)``.
    tokens : int
        Columns of the result.
    """
    rows = (content >= 0).nonzero().flatten()
    return sparse(torch.stack([rows, content[rows]]), torch.ones(len(rows)), (len(content), tokens))


def merge_into(anchor: Tensor, visual: Tensor, positions: Positions, size: Tensor | None = None) -> Reduction | None:
    """Merge every visual token present into the mean at its anchor.

    Parameters
    ----------
    anchor : Tensor
        Prompt index of the token at whose place each one ends, -1 for a token that is dropped; shape ``(present,)``.
    visual : Tensor
        `View.visual`.
    positions : {"keep", "compact", "mean", "restart"}
        Position ids of the merged tokens.
    size : Tensor or None
        Weight of each token inside its group; None: all equal.

    Returns
    -------
    Reduction or None
        None if every token stays alone.
    """
    keep, group = anchor.unique(return_inverse=True)
    dropped = int((keep < 0).sum())
    keep, group = keep[dropped:], group - dropped
    return None if len(keep) == len(visual) else Reduction(keep, group_mean(group, len(keep), size), positions)


def follow(group: Tensor, share: Tensor, slot: Tensor) -> tuple[Tensor, Tensor]:
    """Carry tokens through one more merge in which all members of a group count the same.

    Parameters
    ----------
    group, share : Tensor
        The group in which each token is, and its share in it, both of shape ``(n,)``.
    slot : Tensor
        The new group of each group.

    Returns
    -------
    tuple of Tensor
        The new groups and shares.
    """
    return slot[group], share / slot.bincount()[slot[group]]


def block_diagonal(blocks: Sequence[Tensor]) -> Tensor:
    """Join the sparse weights of several spans, none of which reaches into another."""
    rows = torch.tensor([block.shape[0] for block in blocks])
    cols = torch.tensor([block.shape[1] for block in blocks])
    starts = torch.stack([rows.cumsum(0) - rows, cols.cumsum(0) - cols])
    places = [block.coalesce().indices() + start[:, None] for block, start in zip(blocks, starts.T, strict=True)]
    values = torch.cat([block.coalesce().values() for block in blocks])
    shape = int(rows.sum()), int(cols.sum())
    return sparse(torch.cat(places, 1), values, shape)


def sparse(places: Tensor, values: Tensor, shape: tuple[int, int]) -> Tensor:
    """Weights from their rows and columns, ``(2, entries)``, and values; entries of one place are added up."""
    if not torch.sparse.check_sparse_tensor_invariants.is_enabled():
        torch.sparse.check_sparse_tensor_invariants.disable()  # as it is, but said aloud: else torch warns on first use
    return torch.sparse_coo_tensor(places, values, shape, check_invariants=False).coalesce()


def largest(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest of each row by falling value, ties to the lower place: values and places, ``(rows, count)``.

    Whole rows are sorted only where some of these are equal.
    """
    best, places = values.topk(min(count + 1, values.shape[1]), 1)
    if bool((best[:, 1:] == best[:, :-1]).any()):
        best, places = values.sort(dim=1, descending=True, stable=True)
    return best[:, :count], places[:, :count]


def match_work(tokens: int, width: int) -> float:
    """Operations of one bipartite matching of tokens of this width: half against half by cosine, norms and means."""
    return 2 * (tokens // 2) * (tokens - tokens // 2) * width + 4 * tokens * width


def rank_pairs(metric: Tensor, sources: Literal[0, 1] = 0) -> tuple[Tensor, Tensor]:
    """Rank the tokens of one half by their similarity to the best partner in the other half.

    Parameters
    ----------
    metric : Tensor
        Shape ``(..., n, width)``, n > 1; see `bipartite_match`.
    sources : {0, 1}
        Whether the even or the odd places are ranked.

    Returns
    -------
    tuple of Tensor
        The places of the half by falling similarity, ties to the lower place, and the partner of each, both of shape
        ``(..., half)``, on the CPU.
    """
    unit = torch.nn.functional.normalize(metric.float(), dim=-1)
    best = (unit[..., sources::2, :] @ unit[..., 1 - sources :: 2, :].mT).max(-1)
    order = best.values.sort(dim=-1, descending=True, stable=True).indices
    return (order * 2 + sources).cpu(), (best.indices.gather(-1, order) * 2 + 1 - sources).cpu()


def bipartite_match(metric: Tensor, count: int, sources: Literal[0, 1] = 0) -> tuple[Tensor, Tensor]:
    """Match the most similar tokens of the even half to tokens of the odd half (ToMe, AIM).

    Parameters
    ----------
    metric : Tensor
        What is compared by cosine, shape ``(n, width)``; a zero vector is similar to nothing (cosine 0).
    count : int
        Tokens to merge away; at most ``n // 2``, which is silently the bound as in the official codes.
    sources : {0, 1}
        1: sources are the odd places and destinations the even ones, as where an unmergeable token stands before them.

    Returns
    -------
    tuple of Tensor
        Sources (by falling similarity, ties to the lower place) and the destination of each in the other half, both of
        shape ``(count,)``, on the CPU.
    """
    count = min(count, len(metric) // 2)
    if count <= 0:
        return torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long)
    source, destination = rank_pairs(metric, sources)
    return source[:count], destination[:count]

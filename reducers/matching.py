"""Merging: sparse weight matrices, and the bipartite soft matching that several methods share."""

from __future__ import annotations

from typing import Literal

import torch
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
    return torch.sparse_coo_tensor(
        torch.stack([rows, member]), mass / total[rows], (groups, len(group)), check_invariants=False
    ).coalesce()


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
    unit = torch.nn.functional.normalize(metric.float(), dim=-1)
    best = (unit[sources::2] @ unit[1 - sources :: 2].mT).max(-1)
    order = best.values.sort(descending=True, stable=True).indices[:count]
    return (order * 2 + sources).cpu(), (best.indices[order] * 2 + 1 - sources).cpu()

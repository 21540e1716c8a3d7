"""Who was merged into whom: the books that the LLM's trace and the vision tower keep alike."""

from __future__ import annotations

import torch
from torch import Tensor


def merged(weights: Tensor, index: Tensor, keep: Tensor, anchor: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
    """Follow a merge.

    Parameters
    ----------
    weights : Tensor
        Sparse, ``(kept, present)``: which tokens present make up each token kept.
    index, keep : Tensor
        Places of the tokens present and of the anchors kept, on the axis of `anchor`.
    anchor : Tensor
        Place that each original token was merged into so far, ``(tokens,)``.
    size : Tensor
        How many original tokens each token present stands for, ``(present,)``.

    Returns
    -------
    (Tensor, Tensor)
        The new anchors, and the sizes of the tokens kept; a token in several groups follows its largest weight and
        counts in each.
    """
    weights = weights.coalesce().cpu()
    (row, column), weight = weights.indices(), weights.values().abs()
    by_weight = weight.sort(stable=True).indices
    moved = torch.arange(len(anchor))
    moved[index[column[by_weight]]] = keep[row[by_weight]]
    return moved[anchor], torch.zeros(len(keep), dtype=torch.long).index_add_(0, row, size[column])

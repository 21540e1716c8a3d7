"""Statistics of a vision block's attention as plain functions, beside those of the LLM in `probes`.

Queries and keys have shape ``(heads, tokens, head_dim)``, as the block attends with them; where the tower has a CLS
token it is the first. What comes back has one value per patch, on the CPU, in float32.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

ROWS = 192
"""Rows of one head whose weights are computed at once on a CPU, and stay in its cache."""


def cls_attention(query: Tensor, key: Tensor, scaling: float, log_sizes: Tensor | None = None) -> Tensor:
    """Attention of the CLS query to each patch, mean over heads.

    Parameters
    ----------
    query, key
        See the module.
    scaling : float
        Factor on the logits.
    log_sizes : Tensor or None
        What a block with proportional attention adds to the logits of each key: the logarithm of how many patches it
        holds, ``(tokens,)``.
    """
    return _received(query[:, :1], key, scaling, log_sizes)[1:]


def mean_attention(
    query: Tensor, key: Tensor, scaling: float, log_sizes: Tensor | None = None, cls: bool = False
) -> Tensor:
    """Attention that each patch receives, mean over heads and over the patches' queries; arguments as before.

    Parameters
    ----------
    query, key, scaling, log_sizes
        See `cls_attention`.
    cls : bool
        Whether the first token is a CLS token, whose query does not count.
    """
    return _received(query[:, int(cls) :], key, scaling, log_sizes)[int(cls) :]


def headless_attention(query: Tensor, key: Tensor, cls: bool = False) -> Tensor:
    """PruMerge's class attention: one softmax over vectors of the full width, see `Headless`.

    Without a CLS token the mean query of the patches asks.
    """
    wide_query, wide_key = (x.transpose(0, 1).flatten(1).float() for x in (query, key))
    asking = wide_query[0] if cls else wide_query.mean(0)
    return (wide_key @ asking / math.sqrt(len(asking))).softmax(0)[int(cls) :].cpu()


def cls_logits(query: Tensor, key: Tensor, scaling: float, cls: bool = False) -> Tensor:
    """Attention logits of each patch before the softmax, mean over heads, see `ClsLogits`; arguments as before."""
    asking = query[:, 0] if cls else query.mean(1)
    return ((key.float() @ asking.float()[..., None]).mean(0)[:, 0] * scaling)[int(cls) :].cpu()


def _received(rows: Tensor, key: Tensor, scaling: float, log_sizes: Tensor | None) -> Tensor:
    heads, most = (1, ROWS) if rows.device.type == "cpu" else (len(rows), rows.shape[1])
    received = rows.new_zeros(key.shape[1], dtype=torch.float32)
    for asking, asked in zip(rows.float().mul(scaling).split(heads), key.float().split(heads), strict=True):
        for block in asking.split(most, 1):
            logits = block @ asked.mT
            received += (logits if log_sizes is None else logits + log_sizes.to(logits)).softmax(-1).sum((0, 1))
    return (received / rows[..., 0].numel()).cpu()

"""Statistics of a vision block's attention as plain functions, beside those of the LLM in `probes`.

Queries and keys have shape ``(heads, tokens, head_dim)``, as the block attends with them; where the tower has a CLS
token it is the first. What comes back has one value per patch, on the CPU, in float32.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

ROWS = 192
"""Rows of one head whose weights are computed at once on a CPU, and stay in its cache."""
SAFE = 1e-25, 1e30
"""Sums of a row's exponentials between which float32 holds all that weighs anything in it."""


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


def text_match(patches: Tensor, texts: Tensor, cosine: bool = True) -> Tensor:
    """How alike patches are to a text, mean over the pieces of the text, see `TextMatch`.

    Parameters
    ----------
    patches, texts : Tensor
        Both in CLIP's common space, shapes ``(patches, width)`` and ``(pieces, width)``.
    cosine : bool
        False: plain products.
    """
    if cosine:
        patches, texts = (x / x.norm(dim=-1, keepdim=True) for x in (patches, texts))
    return (patches @ texts.mT).mean(-1).cpu()


@torch.no_grad()
def joined_heads(query: Tensor, key: Tensor, scaling: float) -> Tensor:
    """Queries and keys whose products are attention logits, mean over heads, see `JoinedHeads`; on their device."""
    joined = torch.empty(2, key.shape[1], len(key), key.shape[2], device=key.device)
    joined[0], joined[1] = query.transpose(0, 1), key.transpose(0, 1)
    joined[0] *= scaling / len(query)
    return joined.flatten(2)


@torch.no_grad()
def _received(rows: Tensor, key: Tensor, scaling: float, log_sizes: Tensor | None) -> Tensor:
    """Mean over heads and rows of the softmax."""
    rows, key = rows.float(), key.float()
    added = None if log_sizes is None else log_sizes.to(key)
    if rows.device.type != "cpu":
        logits = rows * scaling @ key.mT
        return (logits if added is None else logits + added).softmax(-1).mean((0, 1)).cpu()
    return _summed(rows, key, scaling, added) / rows[..., 0].numel()


def _summed(rows: Tensor, key: Tensor, scaling: float, added: Tensor | None) -> Tensor:
    """Sum over heads and rows on a CPU, block by block.

    Rows are summed up by products: none is searched for its largest logit, none is normalised. Where a sum lies outside
    of `SAFE`, everything is done again with softmaxes.
    """
    received, ones = key.new_zeros(key.shape[1]), key.new_ones(key.shape[1])
    sums = key.new_empty(rows.shape[:2])
    for logits, total in _blocks(rows, key, scaling, added, sums):
        torch.mv(logits.exp_(), ones, out=total)
        received.addmv_(logits.mT, total.reciprocal())
    if bool((sums > SAFE[0]).all() and (sums < SAFE[1]).all()):
        return received
    received.zero_()
    for logits, _ in _blocks(rows, key, scaling, added, sums):
        received += logits.softmax(1).sum(0)
    return received


def _blocks(
    rows: Tensor, key: Tensor, scaling: float, added: Tensor | None, sums: Tensor
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits of some rows of a head, in room that the next ones take, and their part of ``(heads, rows)``."""
    room = key.new_empty(min(ROWS, rows.shape[1]), key.shape[1])
    bias = room[:1] if added is None else added
    for asking, asked, total in zip(rows, key, sums, strict=True):
        for block, part in zip(asking.split(ROWS), total.split(ROWS), strict=True):
            out, beta = room[: len(block)], int(added is not None)
            yield torch.addmm(bias, block, asked.mT, beta=beta, alpha=scaling, out=out), part

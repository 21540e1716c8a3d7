"""Statistics that a reducer asks for and the engine computes, only in the layers where they are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class Probe:
    """Base of the statistics of an LLM layer, one value per token on the prompt axis."""


@dataclass(frozen=True)
class Rows(Probe):
    """Attention that each token receives from some query rows of one LLM layer, averaged over heads.

    Parameters
    ----------
    which : {"last", "text", "all"}
        ``last``: the last prompt token's row. ``text``: the sum over the text rows behind the last visual token.
        ``all``: the mean over all rows (the column mean of the causal attention matrix).
    """

    which: Literal["last", "text", "all"]


@dataclass(frozen=True)
class LookAhead(Probe):
    """The last prompt token's attention, mean over heads, in a layer that is about to run (PDrop).

    The hidden states that enter the layer pass through its own norm, projections and RoPE; nothing is cached.
    """


@dataclass(frozen=True)
class PageRank(Probe):
    """Power iteration on the sharpened attention of a layer (AIM), root mean square over heads.

    Parameters
    ----------
    temperature : float
        Divides the logits once more, before the row softmax.
    iterations : int
        Products with the attention matrix, from the uniform vector.
    """

    temperature: float = 0.1
    iterations: int = 5


@dataclass(frozen=True)
class Keys(Probe):
    """Key states of a layer, ``(length, kv_heads, head_dim)``, on the model's device.

    Parameters
    ----------
    rope : bool
        After RoPE, or straight from the key projection.
    """

    rope: bool = False


SMALL = 2**23
"""Elements of an attention matrix over all heads that is kept between iterations: 32 MB."""


def received_attention(query: Tensor, key: Tensor, rows: Tensor, scaling: float, chunk: int = 256) -> Tensor:
    """Sum over query rows of the causal softmax attention, averaged over heads, without an n x n matrix.

    Parameters
    ----------
    query : Tensor
        Shape ``(heads, n, head_dim)``, after RoPE.
    key : Tensor
        Shape ``(kv_heads, n, head_dim)``, after RoPE; heads are grouped as in grouped-query attention.
    rows : Tensor
        Indices of the query rows that vote, shape ``(r,)``.
    scaling : float
        Factor on the logits.
    chunk : int
        Rows per block; bounds the memory at ``heads * chunk * n``.

    Returns
    -------
    Tensor
        Shape ``(n,)``, float32.
    """
    groups = query.shape[0] // key.shape[0]
    key = key.float()
    received = query.new_zeros(key.shape[1], dtype=key.dtype)
    for block in rows.split(chunk):
        seen = int(block.max()) + 1
        q = query[:, block].float().unflatten(0, (-1, groups))
        logits = (q @ key[:, None, :seen].mT) * scaling
        future = _columns(seen, block) > block[:, None]
        weights = logits.masked_fill_(future, float("-inf")).softmax(-1)
        received[:seen] += weights.sum(-2).mean((0, 1))
    return received


def page_rank(
    query: Tensor, key: Tensor, scaling: float, temperature: float = 0.1, iterations: int = 5, chunk: int = 256
) -> Tensor:
    """Power iteration ``v <- v M`` on the causal row softmax M of sharpened logits, without an n x n matrix.

    AIM, `get_importance`: v starts uniform, there is no damping, and the heads are joined by the root mean square.

    Parameters
    ----------
    query, key, scaling
        As in `received_attention`.
    temperature, iterations
        See `PageRank`.
    chunk : int
        Rows per block; the matrix is computed anew in each iteration, unless it has at most `SMALL` elements.

    Returns
    -------
    Tensor
        Shape ``(n,)``, float32.
    """
    groups, n = query.shape[0] // key.shape[0], query.shape[1]
    query, key = query.float().unflatten(0, (-1, groups)) * (scaling / temperature), key.float()[:, None]
    blocks = torch.arange(n, device=query.device).split(chunk)

    def matrix(block: Tensor) -> Tensor:
        seen = int(block[-1]) + 1
        logits = query[:, :, block] @ key[..., :seen, :].mT
        return logits.masked_fill_(_columns(seen, block) > block[:, None], float("-inf")).softmax(-1)

    small = query.shape[0] * groups * n * n <= SMALL
    kept = [matrix(block) for block in blocks] if small else []
    rank = query.new_full((*query.shape[:2], 1, n), 1 / n)
    for _ in range(iterations):
        moved = torch.zeros_like(rank)
        for number, block in enumerate(blocks):
            weights = kept[number] if small else matrix(block)
            moved[..., : weights.shape[-1]] += rank[..., block] @ weights
        rank = moved
    return rank.square().mean((0, 1))[0].sqrt()


def _columns(seen: int, like: Tensor) -> Tensor:
    return like.new_ones(seen).cumsum(0) - 1

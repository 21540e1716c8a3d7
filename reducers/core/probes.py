"""Statistics that a reducer asks for and the engine computes, only in the layers where they are asked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

if TYPE_CHECKING:
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
class PeakRows(Probe):
    """Attention that each token receives from some query rows of one LLM layer, of each row the largest over heads.

    Parameters
    ----------
    which : {"text", "visual"}
        The text rows behind the last visual token, or the rows of the visual tokens.
    """

    which: Literal["text", "visual"]


@dataclass(frozen=True)
class HighestRows(PeakRows):
    """The same, of all those rows the largest instead of their sum (PruneVid)."""


@dataclass(frozen=True)
class Change(Probe):
    """How far one LLM layer moves each token: the L2 distance between what enters it and what enters the next one."""


@dataclass(frozen=True)
class Ahead(Probe):
    """Base of the statistics of a layer that is about to run; nothing is cached."""


@dataclass(frozen=True)
class LookAhead(Ahead):
    """The last prompt token's attention, mean over heads, in a layer that is about to run (PDrop).

    The hidden states that enter the layer pass through its own norm, projections and RoPE; nothing is cached.
    """


@dataclass(frozen=True)
class KeysAhead(Ahead):
    """Key states after RoPE of a layer that is about to run, ``(length, kv_heads, head_dim)`` (PACT)."""


@dataclass(frozen=True)
class MeanQuery(Ahead):
    """What the mean query of all tokens up to the last visual one pays to each of these, mean over heads (PACT).

    Before RoPE, in a layer that is about to run; text behind the pictures gets 0.
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


@dataclass(frozen=True)
class Raters(Probe):
    """Attention that each token receives from the raters, see `raters`: their mean, over heads too (SparseVLM).

    Parameters
    ----------
    heads : int or None
        Only so many heads count, those whose attention from raters to visual tokens is largest in sum; None: all.
    corrected : bool
        Divide each weight by what RoPE alone would make of it, see `rated_attention`.
    """

    heads: int | None = None
    corrected: bool = False


def raters(visual: Tensor, text: Tensor) -> Tensor:
    """Which tokens of the text rate the visual ones: those that get more than their share of these tokens' softmax.

    Parameters
    ----------
    visual, text : Tensor
        Embeddings, shapes ``(n, width)`` and ``(m, width)``.

    Returns
    -------
    Tensor
        Mask of shape ``(m,)``, on the CPU; all, where none gets more than another.
    """
    share = (visual.float() @ text.float().mT).softmax(1).mean(0)
    chosen = (share > share.mean()).cpu()
    return chosen if bool(chosen.any()) else torch.ones_like(chosen)


def rated_attention(
    query: Tensor,
    key: Tensor,
    rows: Tensor,
    columns: Tensor,
    scaling: float,
    heads: int | None = None,
    rotary: tuple[Tensor, Tensor] | None = None,
    chunk: int = 16,
) -> Tensor:
    """Mean over some query rows, and over heads, of the causal softmax attention, for `Raters`.

    Parameters
    ----------
    query, key, rows, scaling
        As in `received_attention`.
    columns : Tensor
        Places of the visual tokens, by which heads are chosen, on the CPU.
    heads : int or None
        See `Raters`; at most those that there are.
    rotary : (Tensor, Tensor) or None
        Rotary cosine and sine of each token, ``(n, head_dim)``: weights are divided by the logits that a query and a
        key of ones would have. None: they are not.
    chunk : int
        Rows per block.

    Returns
    -------
    Tensor
        Shape ``(n,)``, float32.
    """
    key = key.float()
    received = key.new_zeros(len(query), key.shape[1])
    for block in rows.split(chunk):
        weights = _rows(query, key, block, scaling).flatten(0, 1)
        seen = weights.shape[-1]
        if rotary is not None:
            own, others = ([x[part].float() for x in rotary] for part in (_to(block, key), slice(seen)))
            weights = weights / (sum((a @ b.mT for a, b in zip(own, others, strict=True)), key.new_zeros(())) * scaling)
        received[:, :seen] += weights.sum(1)
    if heads is not None:
        towards = received[:, _to(columns, key)].sum(1)
        received = received[towards.sort(descending=True, stable=True).indices[:heads]]
    return received.mean(0) / len(rows)


def mean_query_attention(query: Tensor, key: Tensor, scaling: float) -> Tensor:
    """Attention of the mean query to each key, a softmax for each head, mean over heads, see `MeanQuery`.

    Parameters
    ----------
    query : Tensor
        Shape ``(heads, n, head_dim)``.
    key : Tensor
        Shape ``(kv_heads, n, head_dim)``.
    scaling : float
        Factor on the logits.

    Returns
    -------
    Tensor
        Shape ``(n,)``, float32.
    """
    asking = query.float().mean(1).view(len(key), -1, query.shape[2]) * scaling
    return (asking @ key.float().mT).softmax(-1).mean((0, 1))


def received_attention(query: Tensor, key: Tensor, rows: Tensor, scaling: float, chunk: int | None = None) -> Tensor:
    """Sum over query rows of the causal softmax attention, averaged over heads, without an n x n matrix.

    Parameters
    ----------
    query : Tensor
        Shape ``(heads, n, head_dim)``, after RoPE.
    key : Tensor
        Shape ``(kv_heads, n, head_dim)``, after RoPE; heads are grouped as in grouped-query attention.
    rows : Tensor
        Ascending indices of the query rows that vote, shape ``(r,)``, on the CPU.
    scaling : float
        Factor on the logits.
    chunk : int or None
        Rows per block; bounds the memory at ``heads * chunk * n``. None: what suits the device.

    Returns
    -------
    Tensor
        Shape ``(n,)``, float32.
    """
    heads, key = query.shape[0], key.float()
    received = key.new_zeros(key.shape[1])
    for block in rows.split(chunk or _chunk(query)) if len(rows) else ():
        weights = _rows(query, key, block, scaling)
        received[: weights.shape[-1]] += weights.reshape(-1, weights.shape[-1]).sum(0) / heads
    return received


def peak_attention(
    query: Tensor, key: Tensor, rows: Tensor, scaling: float, chunk: int | None = None, highest: bool = False
) -> Tensor:
    """Sum over query rows of the causal softmax attention, of each row the largest over heads, for `PeakRows`.

    With `highest` the largest over the rows too, for `HighestRows`; other arguments and result as of
    `received_attention`.
    """
    key = key.float()
    received = key.new_zeros(key.shape[1])
    for block in rows.split(chunk or _chunk(query)) if len(rows) else ():
        peaks = _rows(query, key, block, scaling).amax((0, 1))
        seen = received[: peaks.shape[-1]]
        seen.copy_(seen.maximum(peaks.amax(0)) if highest else seen + peaks.sum(0))
    return received


def page_rank(
    query: Tensor, key: Tensor, scaling: float, temperature: float = 0.1, iterations: int = 5, chunk: int | None = None
) -> Tensor:
    """Power iteration ``v <- v M`` on the causal row softmax M of sharpened logits, without an n x n matrix.

    AIM, `get_importance`: v starts uniform, there is no damping, and the heads are joined by the root mean square.
    As M is lower triangular, what a token has after an iteration depends on itself and on later tokens alone. So one
    pass over the rows, from the last block to the first, carries all iterations along: each block of M is computed
    once.

    Parameters
    ----------
    query, key, scaling, chunk
        As in `received_attention`.
    temperature, iterations
        See `PageRank`.

    Returns
    -------
    Tensor
        Shape ``(n,)``, float32.
    """
    n, key = query.shape[1], key.float()
    rank = key.new_zeros(len(key), len(query) // len(key), iterations + 1, n)
    rank[:, :, 0] = 1 / n
    for block in reversed(torch.arange(n).split(chunk or _chunk(query))):
        matrix = _rows(query, key, block, scaling / temperature)
        start, stop = int(block[0]), int(block[-1]) + 1
        for step in range(iterations):
            moved = rank[:, :, step, None, start:stop] @ matrix[..., start:]
            rank[:, :, step + 1, start:stop] += moved[:, :, 0]
        rank[:, :, 1:, :start] += rank[:, :, :-1, start:stop] @ matrix[..., :start]
    return rank[:, :, -1].square().mean((0, 1)).sqrt()


def _rows(query: Tensor, key: Tensor, block: Tensor, scaling: float) -> Tensor:
    """Attention weights of some ascending rows, ``(kv_heads, groups, rows, last row + 1)``, in float32."""
    first, seen = int(block[0]) + 1, int(block[-1]) + 1
    chosen = query[:, first - 1 : seen] if seen - first + 1 == len(block) else query[:, _to(block, query)]
    grouped = chosen.float().mul(scaling).reshape(len(key), -1, key.shape[2])
    logits = (grouped @ key[:, :seen].mT).view(len(key), -1, len(block), seen)
    future = torch.arange(first, seen) > block[:, None]
    logits[..., first:].masked_fill_(_to(future, query), float("-inf"))
    return logits.softmax(-1)


def _chunk(like: Tensor) -> int:
    """Rows per block: few on the CPU, where a block then stays in its cache."""
    return 64 if like.device.type == "cpu" else 512


def _to(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like.device, non_blocking=True)  # does not wait for what the device is still computing

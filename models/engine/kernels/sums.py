"""Column sums of a causal attention matrix without an n x n matrix in memory, in two passes.

The first pass computes each row's log-sum-exp as flash attention does, online over tiles of keys. The second computes
each tile of logits again, turns it into weights by the row's log-sum-exp and adds it up over the rows, weighted; the
program that owns a tile of keys walks over all rows that see it, so that nothing is added atomically and sums repeat.
Queries and keys stay in their own dtype; products, weights and sums are float32.
"""

import math
import os

import torch
import triton
import triton.language as tl
from torch import Tensor

TILE, NARROW = (128, 64), (16, 128)
"""Rows and columns of a tile, and of one for few rows, which then still occupy the device."""
FEW = 512
"""Rows up to which tiles are narrow."""
BLOCK = 1024
"""Rows between two steps of `page_rank`; a multiple of any tile."""
WIDEN = os.environ.get("TRITON_INTERPRET") == "1"
"""Triton's interpreter multiplies the bits of bfloat16 as integers: products are taken in float32 there."""


@triton.jit
def _tile(
    base: tl.tensor,
    first: tl.tensor,
    stop: tl.tensor,
    stride: tl.tensor,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    WIDE: tl.constexpr,
    SIZE: tl.constexpr,
) -> tl.tensor:
    """Load some queries or keys, zero beyond their end."""
    place, dims = first + tl.arange(0, SIZE), tl.arange(0, WIDTH)
    inside = (place < stop)[:, None] & (dims < DIM)[None, :]
    loaded = tl.load(base + place[:, None].to(tl.int64) * stride + dims[None, :], mask=inside, other=0.0)
    return place, loaded.to(tl.float32) if WIDE else loaded


@triton.jit
def _log_sums(
    query: tl.tensor,
    key: tl.tensor,
    out: tl.tensor,
    first_row: tl.tensor,
    stop_row: tl.tensor,
    n: tl.tensor,
    factor: tl.tensor,
    q_head: tl.tensor,
    q_row: tl.tensor,
    k_head: tl.tensor,
    k_row: tl.tensor,
    GROUPS: tl.constexpr,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    WIDE: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
) -> None:
    """Binary logarithm of each row's sum, one program per tile of rows and head."""
    first, head = first_row + tl.program_id(0) * ROWS, tl.program_id(1).to(tl.int64)
    rows, queries = _tile(query + head * q_head, first, stop_row, q_row, DIM, WIDTH, WIDE, ROWS)
    top = tl.full((ROWS,), float("-inf"), tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    for col in range(0, tl.minimum(first + ROWS, stop_row), COLS):
        cols, keys = _tile(key + head // GROUPS * k_head, col, n, k_row, DIM, WIDTH, WIDE, COLS)
        logits = tl.dot(queries, tl.trans(keys), input_precision="ieee") * factor
        logits = tl.where(cols[None, :] <= rows[:, None], logits, float("-inf"))
        higher = tl.maximum(top, tl.max(logits, 1))
        total = total * tl.exp2(top - higher) + tl.sum(tl.exp2(logits - higher[:, None]), 1)
        top = higher
    tl.store(out + head * n + rows, top + tl.log2(total), mask=rows < stop_row)


@triton.jit
def _column_sums(
    query: tl.tensor,
    key: tl.tensor,
    log_sums: tl.tensor,
    votes: tl.tensor,
    out: tl.tensor,
    first_row: tl.tensor,
    stop_row: tl.tensor,
    first_col: tl.tensor,
    stop_col: tl.tensor,
    n: tl.tensor,
    factor: tl.tensor,
    q_head: tl.tensor,
    q_row: tl.tensor,
    k_head: tl.tensor,
    k_row: tl.tensor,
    STEPS: tl.constexpr,
    SLOTS: tl.constexpr,
    GROUPS: tl.constexpr,
    DIM: tl.constexpr,
    WIDTH: tl.constexpr,
    WIDE: tl.constexpr,
    ROWS: tl.constexpr,
    COLS: tl.constexpr,
) -> None:
    """Add to ``out[step, head]`` what each column gets from the rows' ``votes[step, head]``, one program per tile."""
    head, heads = tl.program_id(1).to(tl.int64), tl.num_programs(1)
    col = first_col + tl.program_id(0) * COLS
    cols, keys = _tile(key + head // GROUPS * k_head, col, stop_col, k_row, DIM, WIDTH, WIDE, COLS)
    slots = tl.arange(0, SLOTS)
    sums = tl.zeros((SLOTS, COLS), tl.float32)
    for row in range(tl.maximum(col, first_row), stop_row, ROWS):
        rows, queries = _tile(query + head * q_head, row, stop_row, q_row, DIM, WIDTH, WIDE, ROWS)
        there = rows < stop_row
        logits = tl.dot(queries, tl.trans(keys), input_precision="ieee") * factor
        scale = tl.load(log_sums + head * n + rows, mask=there, other=float("inf"))
        logits = tl.where(cols[None, :] <= rows[:, None], logits, float("-inf"))
        weights = tl.exp2(logits - scale[:, None])
        for step in tl.static_range(STEPS):
            vote = tl.load(votes + (step * heads + head) * n + rows, mask=there, other=0.0)
            sums += tl.where(slots[:, None] == step, tl.sum(weights * vote[:, None], 0)[None, :], 0.0)
    place = out + (slots[:, None] * heads + head) * n + cols[None, :]
    inside = (slots < STEPS)[:, None] & (cols < stop_col)[None, :]
    tl.store(place, tl.load(place, mask=inside, other=0.0) + sums, mask=inside)


class Attention:
    """A causal attention matrix that is never written down.

    Parameters
    ----------
    query, key : Tensor
        Shapes ``(heads, n, head_dim)`` and ``(kv_heads, n, head_dim)``, after RoPE, without padding, of any strides.
    scaling : float
        Factor on the logits.
    rows : tuple of int or None
        First and one beyond the last of the rows that are needed; None: all.
    tile : tuple of int or None
        Rows and columns computed at a time; None: by the number of rows.
    """

    def __init__(
        self,
        query: Tensor,
        key: Tensor,
        scaling: float,
        rows: tuple[int, int] | None = None,
        tile: tuple[int, int] | None = None,
    ) -> None:
        self.heads, self.n, dim = query.shape
        first, stop = rows or (0, self.n)
        tile = tile or (NARROW if stop - first <= FEW else TILE)
        query, key = (x if x.stride(2) == 1 else x.contiguous() for x in (query, key))
        self._inputs, self._strides = (query, key), (*query.stride()[:2], *key.stride()[:2])
        self._tile, self._factor = tile, scaling * math.log2(math.e)
        self._sizes = {"GROUPS": self.heads // len(key), "DIM": dim, "WIDTH": max(16, triton.next_power_of_2(dim))}
        self._sizes |= {"ROWS": tile[0], "COLS": tile[1], "WIDE": WIDEN}
        self._log_sums = query.new_empty(self.heads, self.n, dtype=torch.float32)
        grid = (triton.cdiv(stop - first, tile[0]), self.heads)
        with torch.cuda.device_of(query):
            _log_sums[grid](
                *self._inputs, self._log_sums, first, stop, self.n, self._factor, *self._strides, **self._sizes
            )

    def add_columns(self, votes: Tensor, out: Tensor, rows: tuple[int, int], cols: tuple[int, int]) -> None:
        """Add to `out` what the columns from ``cols[0]`` to ``cols[1]`` get from the rows in the same way.

        Parameters
        ----------
        votes, out : Tensor
            Shape ``(steps, heads, n)``, contiguous, float32: factors on the rows, and sums over them.
        rows, cols : tuple of int
            First, and one beyond the last.
        """
        steps = {"STEPS": len(votes), "SLOTS": triton.next_power_of_2(len(votes))}
        grid = (triton.cdiv(cols[1] - cols[0], self._tile[1]), self.heads)
        with torch.cuda.device_of(votes):
            _column_sums[grid](
                *self._inputs,
                self._log_sums,
                votes,
                out,
                *rows,
                *cols,
                self.n,
                self._factor,
                *self._strides,
                **steps,
                **self._sizes,
            )


def received_attention(
    query: Tensor,
    key: Tensor,
    scaling: float,
    rows: tuple[int, int] | None = None,
    tile: tuple[int, int] | None = None,
) -> Tensor:
    """Sum over neighbouring rows of the attention, averaged over heads, as `probes.received_attention`.

    Parameters
    ----------
    query, key, scaling, rows, tile
        See `Attention`.

    Returns
    -------
    Tensor
        Shape ``(n,)``, float32.
    """
    attention = Attention(query, key, scaling, rows, tile)
    votes = query.new_ones(1, attention.heads, attention.n, dtype=torch.float32)
    received = torch.zeros_like(votes)
    first, stop = rows or (0, attention.n)
    attention.add_columns(votes, received, (first, stop), (0, stop))
    return received[0].mean(0)


def page_rank(
    query: Tensor,
    key: Tensor,
    scaling: float,
    temperature: float = 0.1,
    iterations: int = 5,
    tile: tuple[int, int] | None = None,
    block: int = BLOCK,
) -> Tensor:
    """Power iteration ``v <- v M``, root mean square over heads, ``(n,)``: `winnow.reducers.core.probes.page_rank`.

    Blocks of rows run from the last to the first, as a token gets from later tokens alone. Within a block the
    iterations follow each other, over its own triangle; what the block gives to all earlier columns is computed once,
    for all iterations together.
    """
    attention = Attention(query, key, scaling / temperature, tile=tile)
    n = attention.n
    rank = query.new_zeros(iterations + 1, attention.heads, n, dtype=torch.float32)
    rank[0] = 1 / n
    for start in reversed(range(0, n, block)):
        rows = (start, min(start + block, n))
        for step in range(iterations):
            attention.add_columns(rank[step : step + 1], rank[step + 1 : step + 2], rows, rows)
        if start:
            attention.add_columns(rank[:-1], rank[1:], rows, (0, start))
    return rank[-1].square().mean(0).sqrt()

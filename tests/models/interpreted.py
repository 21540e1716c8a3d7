"""Runs the Triton kernels in the interpreter and prints their errors; a program of its own, as the mode is global."""

import json
import os
import random
import sys
from pathlib import Path

os.environ["TRITON_INTERPRET"] = "1"

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "models" / "engine" / "kernels"))  # not by way of transformers
from sums import page_rank, received_attention

TILES = ((16, 16), (16, 32), (32, 16))
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def matrix(query: torch.Tensor, key: torch.Tensor, scaling: float) -> torch.Tensor:
    """The causal attention matrix of each head, ``(heads, n, n)``, in float64."""
    heads, n, _ = query.shape
    logits = query.double() @ key.double().repeat_interleave(heads // len(key), 0).mT * scaling
    return logits.masked_fill(torch.ones(n, n).triu(1).bool(), float("-inf")).softmax(-1)


def iterated(weights: torch.Tensor, iterations: int) -> torch.Tensor:
    heads, n, _ = weights.shape
    rank = torch.full((heads, 1, n), 1 / n, dtype=torch.double)
    for _ in range(iterations):
        rank = rank @ weights
    return rank[:, 0].square().mean(0).sqrt()


def case(number: int) -> dict[str, object]:
    """One random shape: grouped heads, odd lengths, padding on the left, the layout that attention modules produce."""
    draw = random.Random(number)
    torch.manual_seed(number)
    kv_heads, groups, dim = draw.choice((1, 2)), draw.choice((1, 3)), draw.choice((8, 16, 40, 64))
    n, padding, tile = draw.randint(1, 50), draw.choice((0, 5)), TILES[number % 3]
    name = list(DTYPES)[number // 3 % 3]
    wide = [torch.randn(n + padding, heads, dim).to(DTYPES[name]) * 2 for heads in (kv_heads * groups, kv_heads)]
    query, key = (x.transpose(0, 1)[:, padding:] for x in wide)
    scaling, iterations = dim**-0.5, draw.randint(1, 5)
    rows = None if draw.random() < 0.5 else tuple(sorted(draw.sample(range(n + 1), 2)))
    received = received_attention(query, key, scaling, rows, tile)
    rank = page_rank(query, key, scaling, 0.1, iterations, tile, block=draw.choice((16, 32, 128)))
    weights = matrix(query, key, scaling)
    return {
        "shape": f"{name} n={n}+{padding} heads={kv_heads * groups}/{kv_heads} dim={dim} tile={tile} rows={rows}",
        "received": float((received - weights.mean(0)[slice(*(rows or (0, n)))].sum(0)).abs().max()),
        "rank": float((rank - iterated(matrix(query, key, scaling / 0.1), iterations)).abs().max()),
    }


if __name__ == "__main__":
    print(json.dumps([case(number) for number in range(9)]))

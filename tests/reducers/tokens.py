"""Embeddings made by hand and what methods at the entrance leave of them, for slow references."""

import math

import torch
from torch import Tensor
from views import layout, view

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Layout

Rows = list[list[float]]


def natural(n: int, seed: int, width: int = 6) -> Tensor:
    """Real numbers in double precision, some tokens twice."""
    random = torch.Generator().manual_seed(seed)
    tokens = torch.randn(n, width, generator=random, dtype=torch.double)
    again = torch.rand(n, generator=random) < 0.2
    return torch.where(again[:, None], tokens[torch.randint(0, n, (n,), generator=random)], tokens)


def tied(n: int, seed: int, width: int = 4) -> Tensor:
    """Vectors of -1 and 1, whose norms and cosines are exact, so that ties are ties; some are zero."""
    random = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 2, (n, width), generator=random).double() * 2 - 1
    tokens[torch.rand(n, generator=random) < 0.1] = 0
    return tokens


def tokens(n: int, seed: int) -> Tensor:
    """Natural ones for an even seed, tied ones for an odd one."""
    return tied(n, seed) if seed % 2 else natural(n, seed)


def prompt_of(visual: Tensor, prompt: Layout, seed: int = 0, scale: float = 1.0) -> Tensor:
    """States of a prompt whose visual tokens are given and whose text is drawn."""
    states = torch.randn(prompt.length, visual.shape[1], generator=torch.Generator().manual_seed(seed)).double() * scale
    states[prompt.visual] = visual.double()
    return states


def left(method: Reducer, visual: Tensor, grid: tuple[int, int, int]) -> list[int]:
    """Places of one span whose contents a method leaves, in their order."""
    prompt = layout(grid)
    answer = method.reduce(view(prompt, hidden=prompt_of(visual, prompt).to(visual.dtype)))
    if answer is None:
        return list(range(len(visual)))
    assert bool((answer.keep[1:] > answer.keep[:-1]).all()) and bool(torch.isin(answer.keep, prompt.visual).all())
    if answer.weights is None:
        return (answer.keep - 3).tolist()
    weights = answer.weights.to_dense()
    assert weights.shape == (len(answer.keep), len(visual)) and bool((weights.sum(1) == 1).all())
    return weights.argmax(1).tolist()


def dot(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a: list[float], b: list[float]) -> float:
    """Cosine of two vectors; 0 with a zero vector."""
    norms = math.sqrt(dot(a, a)) * math.sqrt(dot(b, b))
    return dot(a, b) / norms if norms else 0.0


def close(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)

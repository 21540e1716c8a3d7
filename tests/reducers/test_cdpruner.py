"""CDPruner by embeddings against the rule of OpenVINO GenAI, written as loops."""

import math

import pytest
import torch
from tokens import Rows, dot, prompt_of
from views import layout, view

from winnow.reducers.cdpruner import CDPruner
from winnow.reducers.core.errors import WinnowError


def unit(tokens: Rows) -> Rows:
    return [[x / math.sqrt(dot(token, token) + 1e-6) for x in token] for token in tokens]


def kernel(tokens: Rows, words: Rows, weight: float, blend: str) -> Rows:
    tokens, words = unit(tokens), unit(words)
    mean = [sum(dot(token, word) for word in words) / len(words) for token in tokens]
    scaled = [(x - min(mean)) / (max(mean) - min(mean) + 1e-6) for x in mean]
    made = []
    for i, a in enumerate(tokens):
        row = []
        for j, b in enumerate(tokens):
            if blend == "exponential" and 0 < weight < 1:
                alpha = weight / (2 * (1 - weight))
                row.append(math.exp(alpha * scaled[i]) * dot(a, b) * math.exp(alpha * scaled[j]))
            else:
                row.append((1 - weight) * dot(a, b) + weight * scaled[i] * dot(a, b) * scaled[j])
        made.append(row)
    return made


def greedy(matrix: Rows, count: int) -> list[int]:
    """The engine's incremental Cholesky."""
    n = len(matrix)
    left, rows, picks = [matrix[i][i] for i in range(n)], [], []
    for _ in range(count):
        best = max((i for i in range(n) if i not in picks), key=lambda i: (left[i], -i))
        row = [matrix[best][j] - sum(r[best] * r[j] for r in rows) for j in range(n)]
        row = [x / math.sqrt(max(0.0, left[best]) + 1e-6) for x in row]
        left = [left[j] - row[j] ** 2 for j in range(n)]
        rows.append(row)
        picks.append(best)
    return picks


def engine(tokens: Rows, words: Rows, size: int, method: CDPruner) -> list[int]:
    kept: list[int] = []
    for start in range(0, len(tokens), size):
        count = max(1, math.floor(size * method.ratio + 0.5))
        count = min(size, count + count % 2)
        middle = start + size // 2
        halves = [(start, middle, count // 2), (middle, start + size, count - count // 2)]
        for first, last, share in halves if method.split else [(start, start + size, count)]:
            if share:
                matrix = kernel(tokens[first:last], words, method.weight, method.blend)
                kept += [first + place for place in greedy(matrix, share)]
    return sorted(kept)


@pytest.mark.parametrize("seed", range(240))
def test_the_mask_is_the_engines(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    grid = tuple(int(torch.randint(1, most, (), generator=random)) for most in (4, 4, 5))
    prompt = layout(grid)
    visual = torch.randn(len(prompt.visual), 48, generator=random, dtype=torch.double)
    if seed % 4 == 0 and len(visual) > 2:
        visual[-1] = visual[0]  # a token that stands twice
    states = prompt_of(visual, prompt, seed)
    method = CDPruner(
        ratio=[0.02, 0.25, 0.5, 0.8][seed % 4],
        weight=[0.5, 0.0, 1.0, 0.3, 0.8][seed % 5],
        blend=("linear", "exponential")[seed % 2],
        split=seed % 3 > 0,
        parts=("frame", "span")[seed % 7 == 0],
    )
    answer = method.reduce(view(prompt, hidden=states))
    words = [row for place, row in enumerate(states.tolist()) if not prompt.is_visual[place]]
    size = grid[1] * grid[2] * (grid[0] if method.parts == "span" else 1)
    kept = range(len(visual)) if answer is None else (answer.keep - 3).tolist()
    assert list(kept) == engine(visual.tolist(), words, size, method)


def test_more_tokens_than_dimensions_are_picked_once_each() -> None:
    prompt = layout((1, 5, 8))
    visual = torch.randn(40, 6, generator=torch.Generator().manual_seed(0))
    answer = CDPruner(ratio=0.5, split=False).reduce(view(prompt, hidden=prompt_of(visual.double(), prompt)))
    assert len(answer.keep) == 20


def test_counts_are_even_and_per_frame() -> None:
    assert CDPruner(ratio=0.25).plan([(4, 25)], 1) == [4 * 6] and CDPruner(ratio=0.01).plan([(3, 9)], 1) == [6]
    assert CDPruner(ratio=0.25, parts="span").plan([(4, 25)], 1) == [26] and CDPruner(ratio=0.1).plan([(2, 1)], 1) == [
        2
    ]
    assert CDPruner().by_frame and not CDPruner(parts="span").by_frame


def test_the_weight_is_checked() -> None:
    with pytest.raises(WinnowError, match=r"reducer\.weight=2"):
        CDPruner(weight=2)

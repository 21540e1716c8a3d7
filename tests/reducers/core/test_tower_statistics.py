"""Statistics of a vision block by hand: one head, two heads, with a CLS token and without."""

import math
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from winnow.reducers.core.tower_statistics import (
    ROWS,
    cls_attention,
    cls_logits,
    headless_attention,
    joined_heads,
    mean_attention,
    text_match,
)

QUERY = torch.tensor([[[2.0], [0.0], [-2.0]], [[4.0], [2.0], [0.0]]])
KEY = torch.tensor([[[0.0], [1.0], [3.0]], [[1.0], [0.0], [-1.0]]])
"""Two heads of three tokens of width one."""


def softmax(*logits: float) -> list[float]:
    weights = [math.exp(one) for one in logits]
    return [one / sum(weights) for one in weights]


def mean(*rows: list[float]) -> list[float]:
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


FIRST = [softmax(0, 1, 3), softmax(0, 0, 0), softmax(0, -1, -3)]
SECOND = [softmax(2, 0, -2), softmax(1, 0, -1), softmax(0, 0, 0)]
"""The weights of each row at a scaling of one half."""


def test_attention_is_a_mean_over_heads_and_rows() -> None:
    assert cls_attention(QUERY, KEY, 0.5).tolist() == pytest.approx(mean(FIRST[0], SECOND[0])[1:])
    assert mean_attention(QUERY, KEY, 0.5).tolist() == pytest.approx(mean(*FIRST, *SECOND))
    without = mean(*FIRST[1:], *SECOND[1:])[1:]
    assert mean_attention(QUERY, KEY, 0.5, cls=True).tolist() == pytest.approx(without)


def test_sizes_are_added_to_the_logits() -> None:
    sizes = torch.tensor([1.0, 2.0, 1.0]).log()
    expected = mean(softmax(0, 1 + math.log(2), 3), softmax(2, math.log(2), -2))[1:]
    assert cls_attention(QUERY, KEY, 0.5, sizes).tolist() == pytest.approx(expected)


def test_logits_before_the_softmax() -> None:
    assert cls_logits(QUERY, KEY, 0.5, cls=True).tolist() == pytest.approx([(1 + 0) / 2, (3 - 2) / 2])
    assert cls_logits(QUERY, KEY, 0.5).tolist() == pytest.approx([(0 + 1) / 2, 0, (0 - 1) / 2])  # the mean query: 0, 2


def test_one_softmax_over_the_full_width() -> None:
    """CLS asks with (2, 4): products 4, 2, 2; the mean query is (0, 2): 2, 0, -2; both over the root of two."""
    by_cls, by_mean = softmax(*(x / 2**0.5 for x in (4, 2, 2))), softmax(*(x / 2**0.5 for x in (2, 0, -2)))
    assert headless_attention(QUERY, KEY, cls=True).tolist() == pytest.approx(by_cls[1:])
    assert headless_attention(QUERY, KEY).tolist() == pytest.approx(by_mean)


def test_products_of_joined_heads_are_mean_logits() -> None:
    query, key = joined_heads(QUERY, KEY, 0.5)
    expected = (QUERY @ KEY.mT * 0.5).mean(0)
    assert query.shape == (3, 2) and torch.allclose(query @ key.mT, expected)


def test_likeness_to_a_text_is_a_mean_over_its_pieces() -> None:
    patches, texts = torch.tensor([[3.0, 4.0], [0.0, 2.0]]), torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    assert text_match(patches, texts).tolist() == pytest.approx([(0.6 + 0.8) / 2, 0.5])
    assert text_match(patches, texts, cosine=False).tolist() == pytest.approx([(6 + 20) / 2, 5])


class Largest(TorchDispatchMode):
    """The most numbers that any result holds."""

    numbers = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor):
            self.numbers = max(self.numbers, found.numel())
        return found


@pytest.mark.parametrize("size", [0.01, 9.0])
def test_a_cpu_holds_the_weights_of_some_rows_of_one_head_at_once(size: float) -> None:
    tokens = 2 * ROWS + 1
    query, key = (size * torch.randn(3, tokens, 2, generator=torch.Generator().manual_seed(n)) for n in (0, 1))
    with Largest() as seen:
        found = mean_attention(query, key, 1.0)
    assert seen.numbers == ROWS * tokens
    assert torch.allclose(found, (query @ key.mT).softmax(-1).mean((0, 1)), atol=1e-5)

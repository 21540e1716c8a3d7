"""Layers that see a window, and those that see everything."""

from typing import Any

import pytest
from values import usual

from winnow.harness.cost.shape import LLMShape
from winnow.harness.cost.sliding import Sliding

ARCH = {"layers": 6, "hidden": 512, "heads": 8, "kv_heads": 2, "mlp": 1024, "vocab": 1000}


def test_heads_are_those_of_the_other_layers_unless_they_are_told() -> None:
    assert usual(Sliding) == {"kv_heads": 0, "head_dim": 0}


@pytest.mark.parametrize(
    ("more", "pattern"),
    [
        ({}, None), ({"sliding_window": 64}, None), ({"sliding_pattern": 6}, Sliding(512, 6)),
        ({"sliding_pattern": 6, "sliding_window": 64}, Sliding(64, 6)),
        ({"full": {"kv_heads": 1, "head_dim": 256}}, Sliding(512, 3, 1, 256)),
    ],
)  # fmt: skip
def test_a_pattern_of_windows(more: dict[str, Any], pattern: Sliding | None) -> None:
    assert Sliding.from_arch(more) == pattern == LLMShape.from_arch(ARCH | more).sliding


def test_each_so_many_th_layer_sees_all_and_where_it_has_its_own_heads_the_last_does_too() -> None:
    assert [Sliding(64, 3).sees_all(layer, 7) for layer in range(7)] == [False, False, True] * 2 + [False]
    assert [Sliding(64, 3, head_dim=1).sees_all(layer, 7) for layer in range(7)] == [False, False, True] * 2 + [True]
    sliding = LLMShape(7, 512, 8, 2, 64, 1024, 1000, sliding=Sliding(100, 3, 1, 256))
    windowed, whole = sliding.at(0), sliding.at(2)
    assert [windowed.kept(n) for n in (99, 100, 101)] == [99, 100, 100] and whole.kept(101) == 101
    assert (whole.kv_heads, whole.head_dim, whole.values) == (1, 256, False)
    assert (windowed.kv_heads, windowed.head_dim, windowed.values) == (2, 64, True)
    plain = LLMShape(7, 512, 8, 2, 64, 1024, 1000, sliding=Sliding(100, 3)).at(2)
    assert (plain.kv_heads, plain.head_dim, plain.values, plain.sliding) == (2, 64, True, None)

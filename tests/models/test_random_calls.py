"""Random calls say what the mask-out oracle says: families, methods, batches, turns, caches, ways of decoding."""

from typing import Any

import pytest
from drawing import check, draw

EACH, MANY, ALL = 25, 7, 140
"""Calls in a test; tests in each run; tests of the whole matrix."""
LOOSE = {"qwen3_5_moe": 1e-3}
"""Where roundings of states and of experts add up: 0.0004 at most of 22 calls."""


def seeds() -> list[Any]:
    return [pytest.param(n, marks=() if n < MANY else pytest.mark.full) for n in range(ALL)]


@pytest.mark.parametrize("block", seeds())
def test_a_random_call_is_exact(block: int) -> None:
    for seed in range(EACH * block, EACH * (block + 1)):
        call = draw(seed)
        assert check(call) < LOOSE.get(call.family, 2e-4), (seed, call)

"""All seeds are asked, whatever the size of the last block, and a failure says which."""

from typing import Any

import pytest
from seeds import BLOCK, seeds


def test_each_seed_is_asked_once_and_a_failure_says_which() -> None:
    asked: list[int] = []

    @seeds(BLOCK + 3)
    def case(seed: int) -> None:
        asked.append(seed)
        assert seed < BLOCK + 2

    made: Any = case
    first, last = made.pytestmark[0].args[1]
    case(first)
    assert len(first) == BLOCK and asked == [*first]
    with pytest.raises(AssertionError) as failed:
        case(last)
    assert asked == [*range(BLOCK + 3)] and failed.value.__notes__ == [f"with seed={BLOCK + 2}"]

"""The greedy choices where there is much of something: wide rows, large matrices, and many that are equal."""

import pytest
import torch

from winnow.reducers.core import greedy
from winnow.reducers.core.greedy import Cosines, coverage, max_min, unit


def test_rows_wider_than_the_cache_are_asked_one_by_one() -> None:
    stands = torch.zeros(3, greedy.CACHED + 1)
    stands[0, :2], stands[1, :3], stands[2, 2:4] = 1, 1, 1
    assert coverage(stands, 3, torch.ones(3)).tolist() == [1, 2, 0]


@pytest.mark.parametrize("tokens", [1, 5, 40, 100])
def test_what_is_held_at_once_changes_nothing(tokens: int, monkeypatch: pytest.MonkeyPatch) -> None:
    states = torch.randn(tokens, 4, generator=torch.Generator().manual_seed(tokens), dtype=torch.double)
    whole = max_min(states, tokens)
    cosines = unit(states) @ unit(states).mT
    for held in (1, tokens * 8, tokens * 8 * 3):  # bytes: less than a column, one, three
        monkeypatch.setattr(greedy, "LARGEST", held)
        parts = Cosines(states)
        blocks = list(parts.columns())
        assert torch.allclose(torch.cat(blocks, 1), cosines)
        assert max(block.shape[1] for block in blocks) <= max(1, held // (tokens * 8)) or tokens <= held // (tokens * 8)
        assert torch.allclose(parts.row(torch.tensor(tokens - 1)), cosines[-1])
        assert max_min(states, tokens).tolist() == whole.tolist()


def test_of_many_equal_ones_the_first_is_picked() -> None:
    same = torch.ones(50, 3)
    assert max_min(same, 3).tolist() == [0, 1, 2] and max_min(same, 3, again=True).tolist() == [0, 0, 0]
    assert coverage(torch.ones(50, 2), 3, torch.ones(50)).tolist() == [0, 1, 2]
    assert max_min(same[:1], 1).tolist() == [0] and max_min(same, 0).tolist() == []


def test_a_weight_is_a_factor_on_what_a_token_adds() -> None:
    """Token 0 covers 1 thing at weight 3, token 1 covers 2 at weight 1."""
    stands = torch.tensor([[1.0, 0, 0], [0, 1, 1]])
    assert coverage(stands, 2, torch.tensor([3.0, 1])).tolist() == [0, 1]
    assert coverage(stands, 2, torch.ones(2)).tolist() == [1, 0]
    assert coverage(-stands, 2, torch.ones(2)).tolist() == [0, 1]  # below zero is nothing

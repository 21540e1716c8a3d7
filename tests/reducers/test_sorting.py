"""The guard that stands around every test of a method: no order of equal values is left to chance."""

import pytest
import torch

TIED, APART = torch.tensor([1.0, 3, 1]), torch.tensor([1.0, 3, 2])


def test_places_of_equal_values_are_asked_for_by_a_stable_sort() -> None:
    assert TIED.sort(stable=True).indices.tolist() == TIED.argsort(stable=True).tolist() == [0, 2, 1]
    for ask in (
        lambda: TIED.sort().indices,
        TIED.argsort,
        lambda: TIED.argsort(descending=True),
        lambda: [*TIED.sort()],
    ):
        with pytest.raises(AssertionError, match="equal values are sorted without stable=True"):
            ask()


def test_values_and_what_differs_need_none() -> None:
    assert TIED.sort().values.tolist() == [1, 1, 3] and APART.argsort(descending=True).tolist() == [1, 2, 0]
    values, places = APART.sort()
    assert (values.tolist(), places.tolist()) == ([1, 2, 3], [0, 2, 1])
    rows = torch.tensor([[1.0, 1], [2, 3]])
    assert rows.argsort(0).tolist() == [[0, 0], [1, 1]]
    with pytest.raises(AssertionError):
        rows.argsort(1)

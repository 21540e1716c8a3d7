"""Chosen tokens in the order in which they are to stand."""

import pytest
import torch

from winnow.reducers.core.entrance import arrange, fill

FIRST, SECOND = torch.tensor([3, 4, 5, 6]), torch.tensor([10, 11, 12])
VISUAL = torch.cat([FIRST, SECOND])


@pytest.mark.parametrize(
    ("picks", "places"),
    [([2, 0], [0, 2]), ([1, 1, 1], [0, 1, 2]), ([3, 3], [0, 3]), ([-1, 2], [0, 2]), ([-1, -1], [0, 1]), ([], []),
     ([0, 0, 2], [0, 1, 2])],
)  # fmt: skip
def test_places_are_those_picked_and_the_first_free_ones(picks: list[int], places: list[int]) -> None:
    assert fill(torch.tensor(picks, dtype=torch.long), 4).tolist() == places


def test_tokens_in_raster_order_stay_as_they_are() -> None:
    made = arrange([FIRST, SECOND], [torch.tensor([0, 3]), torch.tensor([1])], VISUAL, "compact")
    assert made is not None and made.weights is None
    assert (made.keep.tolist(), made.positions) == ([3, 6, 11], "compact")
    everything = [torch.arange(4), torch.arange(3)]
    assert arrange([FIRST, SECOND], everything, VISUAL, "keep") is None


def test_tokens_in_another_order_stand_at_others_places() -> None:
    made = arrange([FIRST, SECOND], [torch.tensor([3, 0, 0]), torch.tensor([2, -1])], VISUAL, "keep")
    assert made is not None and made.weights is not None and made.positions == "keep"
    assert made.keep.tolist() == [3, 4, 6, 10, 12]
    content = made.weights.to_dense() @ VISUAL.float()
    assert content.tolist() == [6, 3, 3, 12, 0]
    turned = arrange([FIRST], [torch.tensor([1, 0, 2, 3])], FIRST, "keep")
    assert turned is not None and turned.weights is not None
    assert (turned.weights.to_dense() @ FIRST.float()).tolist() == [4, 3, 5, 6]

"""Which tokens stand in which column, and where they say they stand."""

import pytest
import torch

from winnow.models.engine.sequence import Stage, compact_positions, mean_positions, pad_left, take
from winnow.reducers.core.reduction import Positions, Reduction


def test_rows_are_padded_on_the_left_with_their_first() -> None:
    columns, valid = pad_left([torch.tensor([3, 5, 6]), torch.tensor([4])])
    assert columns.tolist() == [[3, 5, 6], [4, 4, 4]] and valid.int().tolist() == [[1, 1, 1], [0, 0, 1]]
    assert Stage(columns, valid).ragged and not Stage(columns[:1], valid[:1]).ragged


def test_positions_without_gaps_count_from_the_first() -> None:
    _, valid = pad_left([torch.arange(3), torch.arange(1)])
    assert compact_positions(torch.tensor([7, 2]), valid).tolist() == [[7, 8, 9], [2, 2, 2]]


@pytest.mark.parametrize(("tail", "way"), [(0, "mean"), (2, "mean"), (0, "keep")])
def test_a_merged_token_stands_at_the_weighted_mean_of_its_members(tail: int, way: Positions) -> None:
    """Prompt 0 has 1 column of padding; its visual tokens 1, 2, 4 at 10, 20, 41; 1 and 4 merge at 1 by 3 to 1."""
    positions = torch.tensor([[0, 0, 10, 20, 30, 41, 50], [0, 1, 2, 3, 4, 5, 6]])
    positions = torch.cat([positions, torch.full((2, tail), 99)], 1)
    weights = torch.tensor([[3.0, 0.0, 1.0], [0.0, 1.0, 0.0]]).to_sparse()
    visual = torch.tensor([False, True, True, False, True, False])
    answers = [Reduction(torch.tensor([1, 2]), weights, way), None]
    found = mean_positions(positions, answers, [torch.arange(6), torch.arange(7)], [visual, visual], tail)
    moved = positions.clone()
    if way == "mean":
        moved[0, 2] = (3 * 10 + 41) // 4
    assert torch.equal(found, moved) and positions[0, 2] == 10


def test_a_mean_that_is_whole_but_for_rounding_is_not_rounded_down() -> None:
    third = torch.tensor([[1 / 3, 1 / 3, 1 / 3]]).to_sparse()
    found = mean_positions(
        torch.tensor([[6, 7, 8]]), [Reduction(torch.tensor([0]), third, "mean")], [torch.arange(3)],
        [torch.ones(3, dtype=torch.bool)],
    )  # fmt: skip
    assert found.tolist() == [[7, 7, 8]]


def test_columns_are_gathered_per_sample_along_any_axis() -> None:
    values, columns = torch.arange(24).view(2, 3, 4), torch.tensor([[2, 0], [1, 1]])
    assert torch.equal(take(values, columns, 1), torch.stack([values[0][[2, 0]], values[1][[1, 1]]]))
    assert torch.equal(take(values, columns, 2), torch.stack([values[0][:, [2, 0]], values[1][:, [1, 1]]]))
    one = take(values[:1], columns, 1)  # one row for all samples
    assert torch.equal(one, torch.stack([values[0][[2, 0]], values[0][[1, 1]]]))

"""What answers and plans are compared with."""

import torch

from winnow.reducers.core.reduction import Reduction


def memory(plan: list[int]) -> float:
    """VAS' Img-Memory."""
    return sum(plan) / len(plan) / plan[0]


def check(answer: Reduction | None, members: list[list[int]], anchors: list[int], visual: int) -> None:
    """Compare with the plain means of groups."""
    if answer is None:
        assert members == [[i] for i in range(visual)]
        return
    assert (answer.keep - 3).tolist() == anchors
    expected = torch.zeros(len(members), visual)
    for row, window in enumerate(members):
        expected[row, window] = 1 / len(window)
    assert torch.allclose(answer.weights.to_dense(), expected)

"""Positions that restart: text right behind what is left of a picture, pictures as they were; against plain loops."""

import pytest
import torch

from winnow.models.check.cases import BATCHES, Case, tiny_model
from winnow.models.check.invariants import INVARIANTS
from winnow.models.engine.sequence import restart_positions
from winnow.reducers.core.base import Reducer
from winnow.reducers.fastv import FastV
from winnow.reducers.random import RandomDrop


@pytest.mark.parametrize("seed", range(5))
def test_text_closes_up_and_pictures_keep_their_gaps(seed: int) -> None:
    torch.manual_seed(seed)
    positions = torch.stack([torch.randperm(40)[:12].sort().values for _ in range(3)])
    visual = torch.rand(3, 12) < 0.5
    for row, was, seen in zip(restart_positions(positions, visual), positions, visual, strict=True):
        assert row[0] == was[0]
        for place in range(1, 12):
            assert row[place] - row[place - 1] == (was[place] - was[place - 1] if seen[place] else 1)
    padded = torch.tensor([[5, 5, 5, 6, 9, 12]])  # padding repeats the first token
    assert restart_positions(padded, torch.tensor([[0, 0, 0, 0, 1, 0]]).bool()).tolist() == [[5, 5, 5, 6, 9, 10]]


@pytest.mark.parametrize("check", ["oracle", "batch_is_singles", "keep_everything"])
@pytest.mark.parametrize("method", [RandomDrop(ratio=0.3, positions="restart"), FastV(ratio=0.25, positions="restart")])
def test_a_model_goes_on_from_there(method: Reducer, check: str) -> None:
    INVARIANTS[check](Case(tiny_model("llava", "sdpa"), method, [*BATCHES["video"], *BATCHES["image"]]))

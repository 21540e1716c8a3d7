"""Logits by the places that tokens had before any was dropped."""

from typing import Any

import numpy as np
import pytest
import torch

from winnow.models.engine.final import Final, columns, picked
from winnow.models.engine.ledger import Held
from winnow.reducers.core.errors import UnsupportedError

ROWS = Held(torch.tensor([[4, 5, 7], [4, 4, 6]]), torch.tensor([[True, True, True], [False, True, True]]))
"""Of four tokens behind four held ones: the first row misses the third, the second row the second and the last."""
LEFT = Final(ROWS, 4, 4)


@pytest.mark.parametrize(
    ("wanted", "given"),
    [
        (None, None),
        (0, 0),
        (3, 3),
        (torch.tensor([1]), [1]),
        ([0, -1], [0, -1]),
        ((2,), [2]),
        (np.array([1, 2]), [1, 2]),
    ],
)
def test_numbers_and_places_of_columns_are_taken(wanted: Any, given: Any) -> None:
    found = columns(wanted)
    assert (found.tolist() if isinstance(found, torch.Tensor) else found) == given


@pytest.mark.parametrize("wanted", [True, "all", 1.0, [], [0.5], torch.tensor(1), torch.tensor([True]), [[1]]])
def test_nothing_else_is(wanted: Any) -> None:
    with pytest.raises(UnsupportedError, match="give a number, or a 1-D tensor"):
        columns(wanted)


def test_columns_stand_where_their_tokens_do() -> None:
    assert Final(None, 4, 4).places(torch.tensor([0, 3, -1, -4])).tolist() == [[0, 3, 3, 0]]
    assert LEFT.places(torch.tensor([0])).tolist() == [[0], [1]]
    one = Final(Held(ROWS.columns[:1], ROWS.valid[:1]), 4, 4)
    assert one.places(torch.tensor([0, 1, 3, -1])).tolist() == [[0, 1, 2, 2]]


@pytest.mark.parametrize("wanted", [4, 5, -5, -6])
def test_columns_that_were_never_given_are_refused(wanted: int) -> None:
    for final in (LEFT, Final(None, 4, 4)):
        with pytest.raises(UnsupportedError, match="not among the 4 given"):
            final.places(torch.tensor([0, wanted]))


@pytest.mark.parametrize("wanted", [1, 2, 3, -1])
def test_columns_that_some_row_has_dropped_are_refused(wanted: int) -> None:
    with pytest.raises(UnsupportedError, match="tokens that were dropped"):
        LEFT.places(torch.tensor([wanted]))


def test_the_head_gets_the_states_that_are_asked_for() -> None:
    hidden = torch.arange(12.0).view(2, 3, 2)
    assert picked(hidden, None, LEFT) is hidden and picked(hidden, 2, None) is hidden
    assert torch.equal(picked(hidden, torch.tensor([0]), LEFT), torch.stack([hidden[0, :1], hidden[1, 1:2]]))
    whole = Final(None, 0, 3)
    assert picked(hidden, 0, whole) is hidden and picked(hidden, 3, whole) is hidden
    assert torch.equal(picked(hidden, 1, whole), hidden[:, 2:]) and torch.equal(picked(hidden, 2, whole), hidden[:, 1:])
    assert torch.equal(picked(hidden, torch.tensor([-1, 0]), whole), hidden[:, [2, 0]])


def test_the_last_columns_are_those_of_the_tokens_given() -> None:
    """Columns 5 and 7 are the last two that are left; the last two given were 6 and 7."""
    hidden, one = torch.zeros(1, 3, 2), Final(Held(ROWS.columns[:1], ROWS.valid[:1]), 4, 4)
    assert picked(hidden, 1, one).shape == (1, 1, 2)
    for number in (2, 3, 9):
        with pytest.raises(UnsupportedError, match="tokens that were dropped"):
            picked(hidden, number, one)

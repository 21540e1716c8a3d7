"""Books of several caches as one batch, and of some of its rows."""

from typing import Any

import torch

from winnow.models.engine.ledger import Held
from winnow.models.engine.rows import _merge_held, _merge_shifts, _select_held


def held(columns: list[list[int]], shift: list[int] | None = None, added: list[list[float]] | None = None) -> Held:
    made = torch.tensor(columns)
    return Held(
        made, torch.ones_like(made, dtype=torch.bool), None if shift is None else torch.tensor(shift),
        None if added is None else torch.tensor(added),
    )  # fmt: skip


def plain(one: Held | None) -> Any:
    assert one is not None
    return [None if v is None else v.int().tolist() for v in (one.columns, one.valid, one.shift, one.added)]


LONG, SHORT = held([[1, 2, 3]]), held([[4], [5]], [7, 8], [[1.0], [2.0]])


def test_shorter_rows_are_padded_on_the_left() -> None:
    assert plain(_merge_held([LONG, SHORT], [LONG, SHORT])) == [
        [[1, 2, 3], [0, 0, 4], [0, 0, 5]], [[1, 1, 1], [0, 0, 1], [0, 0, 1]],
        [0, 7, 8], [[0, 0, 0], [0, 0, 1], [0, 0, 2]],
    ]  # fmt: skip
    assert plain(_merge_held([LONG, LONG], [None, LONG])) == [[[1, 2, 3]] * 2, [[1, 1, 1]] * 2, None, None]
    assert _merge_held([LONG, LONG], [None, None]) is None


def test_shifts_of_rows_without_any_are_zero() -> None:
    found = _merge_shifts([None, torch.tensor([4, 5]), None], [2, 2, 1])
    assert found is not None and found.tolist() == [0, 0, 4, 5, 0]
    assert _merge_shifts([None, None], [1, 2]) is None


def test_some_rows_alone() -> None:
    assert plain(_select_held(SHORT, torch.tensor([1]))) == [[[5]], [[1]], [8], [[2]]]
    assert plain(_select_held(LONG, torch.tensor([0, 0]))) == [[[1, 2, 3]] * 2, [[1, 1, 1]] * 2, None, None]

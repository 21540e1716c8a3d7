"""Books of several caches as one batch, and of some of its rows."""

from typing import Any

import torch
from transformers import DynamicCache

from winnow.models.engine.ledger import Held, Ledger, books_on
from winnow.models.engine.rows import _merge_held, _merge_shifts, _select_held, merge, select


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


def cache(tokens: int, books: Ledger) -> Any:
    """A cache of as many rows as the books have, whose keys are row and place."""
    made = DynamicCache()
    for layer in range(books.depth):
        keys = torch.stack(torch.meshgrid(torch.arange(books.batch), torch.arange(tokens), indexing="ij"), -1)
        made.update(keys[:, None].float(), keys[:, None].float(), layer)
    books.keep_on(made)
    return made


def test_a_cache_goes_on_with_some_of_its_rows() -> None:
    both = held([[0, 2], [1, 2], [0, 1]])
    books = Ledger("me", 3, width=3, batch=3, held=[None, both, both], shift=torch.tensor([4, 5, 6]))
    books.offset = torch.tensor([[1], [2], [3]])
    made = cache(3, books)
    select(made, torch.tensor([2, 0]))
    assert books_on(made) is books and books.batch == 2 and books.held[0] is None
    assert plain(books.held[1])[0] == [[0, 1], [0, 2]] and books.held[1] is books.held[2]
    assert books.shift is not None and books.shift.tolist() == [6, 4] and books.offset.tolist() == [[3], [1]]
    assert made.layers[0].keys[:, 0, 0, 0].tolist() == [2, 0]
    bare = Ledger("me", 1, width=3, batch=2)
    select(cache(3, bare), torch.tensor([1]))
    assert (bare.batch, bare.held, bare.shift, bare.offset) == (1, [None], None, None)


def test_several_caches_become_one_batch() -> None:
    cut = held([[0, 3]], [7])
    one = Ledger("me", 3, width=4, floor=3, batch=1, held=[None, cut, cut], counted=1, offset=torch.tensor([[1]]))
    two = Ledger("you", 3, width=4, floor=4, batch=2, offset=torch.tensor([[2], [3]]), shift=torch.tensor([5, 6]))
    made = merge([cache(4, one), cache(4, two)], "them")
    books = books_on(made)
    assert (books.owner, books.depth, books.width, books.floor, books.batch, books.counted) == ("them", 3, 4, 4, 3, 1)
    assert books.held[0] is None and books.held[1] is books.held[2]
    assert plain(books.held[1])[:3] == [
        [[0, 0, 0, 3], [0, 1, 2, 3], [0, 1, 2, 3]], [[0, 0, 1, 1], [1] * 4, [1] * 4], [7, 0, 0],
    ]  # fmt: skip
    assert books.offset.tolist() == [[1], [2], [3]] and books.shift is not None and books.shift.tolist() == [0, 5, 6]
    assert made.layers[0].keys.shape[0] == 3

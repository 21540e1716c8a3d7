"""The books of a cache: what each layer holds, what came, what may be cropped."""

import copy
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from winnow.models.engine.ledger import Held, Ledger, books_on, everything, ledger_of
from winnow.reducers.core.errors import UnsupportedError


def held(*columns: int, shift: int | None = None, added: tuple[float, ...] | None = None) -> Held:
    """One prompt's columns."""
    return Held(
        torch.tensor([columns]),
        torch.ones(1, len(columns), dtype=torch.bool),
        None if shift is None else torch.tensor([shift]),
        None if added is None else torch.tensor([added]),
    )


def plain(one: Held | None) -> Any:
    if one is None:
        return None
    return [
        None if value is None else value.tolist()
        for value in (one.columns[0], one.valid[0], one.shift, None if one.added is None else one.added[0])
    ]


def test_further_columns_stand_behind_and_shifts_add_up() -> None:
    assert plain(held(0, 2).more(held(5))) == [[0, 2, 5], [True] * 3, None, None]
    assert plain(held(0, shift=3).more(held(5, shift=4))) == [[0, 5], [True] * 2, [7], None]
    assert plain(held(0, shift=3).more(held(5))) == [[0, 5], [True] * 2, [3], None]
    assert plain(held(0).more(held(5, shift=4))) == [[0, 5], [True] * 2, [4], None]
    assert plain(held(0, added=(1.5,)).more(held(5, 6))) == [[0, 5, 6], [True] * 3, None, [1.5, 0, 0]]
    assert plain(held(0).more(held(5, added=(2.5,)))) == [[0, 5], [True] * 2, None, [0, 2.5]]


def test_parts() -> None:
    whole = held(0, 2, 5, shift=1, added=(0.0, 1.0, 2.0))
    assert plain(whole.last(2)) == [[2, 5], [True] * 2, [1], [1, 2]]
    assert plain(whole.less(2)) == [[0], [True], [1], [0]]
    assert plain(whole.to(torch.device("cpu"))) == plain(whole) and held(3).additions.tolist() == [[0]]
    made = everything(2, 5, 2)
    assert made.columns.tolist() == [[2, 3, 4]] * 2 and made.valid.all() and made.shift is None


def test_of_another_layers_keys_those_count_that_one_still_has() -> None:
    """A layer that reads the keys of one that held 0, 2, 3 and 5, and has itself lost 3 and weighs 2."""
    owner = held(0, 2, 3, 5, shift=1, added=(9.0, 9.0, 9.0, 9.0))
    assert plain(owner.left(held(0, 2, 5))) == [[0, 2, 3, 5], [True, True, False, True], [1], None]
    assert plain(owner.left(held(0, 2, 5, added=(0.0, 1.5, 0.0))))[3] == [0, 1.5, 0, 0]
    padded = Held(torch.tensor([[0, 2, 5]]), torch.tensor([[False, True, True]]))
    assert plain(owner.left(padded))[1] == [False, True, False, True]
    assert plain(padded.left(owner))[1] == [False, True, True]


def test_layers_that_hold_all_need_no_books() -> None:
    books = Ledger("me", 2, batch=1)
    books.grow([None, None], 5)
    assert (books.held, books.width, books.floor, books.length(1), books.entered) == ([None, None], 5, 0, 5, 5)


def test_growth_behind_a_reduced_prompt() -> None:
    books = Ledger("me", 3, batch=1, counted=2)
    books.grow([None, held(0, 2), held(0, 2)], 4, tail=1)
    assert (books.width, books.floor, books.entered, [books.length(n) for n in range(3)]) == (4, 3, 2, [4, 2, 2])
    books.grow([None, None, held(5)], 2)
    assert plain(books.held[1]) == [[0, 2, 4, 5], [True] * 4, None, None]
    assert plain(books.held[2]) == [[0, 2, 5], [True] * 3, None, None]
    assert (books.width, books.floor) == (6, 6)
    books.grow([None] * 3, 1)
    assert (books.width, books.floor) == (7, 6)  # what was not reduced may be cropped
    books.crop(1)
    assert (books.width, [books.length(n) for n in range(3)]) == (6, [6, 4, 3]) and plain(books.held[2])[0] == [0, 2, 5]


def test_a_layer_that_begins_to_drop_held_all_that_came_before() -> None:
    books = Ledger("me", 1, batch=1)
    books.grow([None], 3)
    books.grow([held(4)], 2)
    assert plain(books.held[0])[0] == [0, 1, 2, 4]


def test_layers_that_hold_the_same_share_their_books() -> None:
    one, books = held(0, 2), Ledger("me", 3, batch=1)
    books.grow([one, one, held(0, 2)], 4)
    assert books.held[0] is books.held[1] is not books.held[2]
    books.grow([None] * 3, 1)
    assert books.held[0] is books.held[1] is not books.held[2]
    books.crop(1)
    assert books.held[0] is books.held[1] is not books.held[2]


def test_a_copy_goes_its_own_way() -> None:
    books = Ledger("me", 1, batch=1)
    other = copy.deepcopy(books)
    other.grow([held(0)], 2)
    assert (books.width, books.held, other.width) == (0, [None], 2)


def cache(length: int, books: Ledger | None = None) -> Any:
    made = SimpleNamespace(get_seq_length=lambda: length)
    if books is not None:
        books.keep_on(made)
    return made


def grown(width: int, floor: int) -> Ledger:
    return Ledger("me", 1, width=width, floor=floor, batch=2)


def test_books_of_an_empty_cache_are_new() -> None:
    for empty in (None, cache(0)):
        made = ledger_of(empty, "me", 3, 2, counted=1)
        assert (made.owner, made.depth, made.batch, made.counted, made.width, made.held) == (
            "me",
            3,
            2,
            1,
            0,
            [None] * 3,
        )
    assert ledger_of(None, "me", 3, None).batch == 0


def test_books_follow_a_cropped_cache_down_to_the_reduced_prompt() -> None:
    books = grown(9, 6)
    assert books_on(cache(9, books)) is books
    assert ledger_of(cache(9, books), "me", 1, 2) is books and ledger_of(cache(9, books), "me", 1, None).width == 9
    assert ledger_of(cache(6, books), "me", 1, 2).width == 6


@pytest.mark.parametrize(
    ("length", "owner", "batch", "said"),
    [
        (9, "you", 2, "filled outside"),
        (9, "me", 3, "filled by a batch of 2, not 3"),
        (10, "me", 2, "grown outside"),
        (5, "me", 2, "cropped into a prompt that was reduced"),
    ],
)
def test_strange_caches_are_refused(length: int, owner: str, batch: int, said: str) -> None:
    with pytest.raises(UnsupportedError, match=said):
        ledger_of(cache(length, grown(9, 6)), owner, 1, batch)
    with pytest.raises(UnsupportedError, match="filled outside"):
        ledger_of(cache(3), "me", 1, 2)

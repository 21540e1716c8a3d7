"""Masks as pure functions of places: against a mask of loops, over any batch, window and implementation."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from winnow.models.engine.ledger import Held
from winnow.models.engine.masks import attention_mask
from winnow.reducers.core.errors import UnsupportedError

NONE = torch.float32


def held(places: list[list[int]], padding: list[int]) -> Held:
    """Places of a batch's columns; each row begins with so many columns of padding."""
    columns = torch.tensor(places)
    return Held(columns, torch.arange(columns.shape[1]) >= torch.tensor(padding)[:, None])


def by_hand(rows: Held, columns: Held, window: int | None) -> list[list[list[bool]]]:
    """Who sees whom: what came before, within the window, and no padding; a row of padding sees its own place."""
    found = []
    for b in range(len(rows.columns)):
        table = []
        for i, real in zip(rows.columns[b].tolist(), rows.valid[b].tolist(), strict=True):
            keys = zip(columns.columns[b].tolist(), columns.valid[b].tolist(), strict=True)
            table.append(
                [
                    (j <= i and there and (window is None or i - j < window)) or (i == j and not real)
                    for j, there in keys
                ]
            )
        found.append(table)
    return found


def test_tokens_of_a_picture_see_each_other_within_the_window() -> None:
    """Two pictures of places 1 to 3 and 5 to 6; place 2 was dropped, and a row of text asks too."""
    pictures = torch.tensor([[-1, 0, 0, 0, -1, 1, 1, -1]])
    columns = held([[0, 1, 3, 4, 5, 6, 7]], [0])
    for window in (None, 2):
        seen = attention_mask(columns, columns, window, "sdpa", NONE, False, pictures=pictures)
        assert seen is not None
        for i, row in zip(columns.columns[0].tolist(), seen[0, 0].tolist(), strict=True):
            near = [j for j in columns.columns[0].tolist() if window is None or i - j < window]
            own = {j for j in near if pictures[0, i] >= 0 and pictures[0, j] == pictures[0, i]}
            expected = {j for j in near if j <= i} | own
            assert {j for j, sees in zip(columns.columns[0].tolist(), row, strict=True) if sees} == expected
    text = columns.last(1)
    assert attention_mask(text, columns, None, "sdpa", NONE, False, pictures=pictures) is None


@pytest.mark.parametrize("how", ["sdpa", "eager"])
def test_what_is_added_to_keys_stands_in_the_mask(how: str) -> None:
    columns = replace(held([[0, 2, 3, 7], [0, 1, 4, 7]], [0, 1]), added=torch.rand(2, 4))
    columns = columns.more(held([[8], [8]], [0, 0]))  # what came later adds nothing
    plain = attention_mask(columns, replace(columns, added=None), None, "eager", NONE, True)
    weighed = attention_mask(columns, columns, None, how, NONE, False)
    assert plain is not None and weighed is not None and columns.added is not None
    assert columns.added[:, -1].tolist() == [0, 0] and columns.less(1).last(2).additions.shape == (2, 2)
    seen = plain == 0
    assert torch.equal(weighed[seen], (plain + columns.added[:, None, None])[seen])
    assert bool((weighed[~seen] == plain[~seen]).all())
    step = columns.last(1)
    row = attention_mask(step, columns, None, how, NONE, False)
    assert row is not None and torch.equal(row[0, 0, 0], columns.added[0])
    with pytest.raises(UnsupportedError, match=r"mask of numbers: use model\.attn=sdpa"):
        attention_mask(columns, columns, None, "flash_attention_2", NONE, True)


def mask(rows: Held, columns: Held, how: str = "sdpa", window: int | None = None, wanted: bool = True) -> Tensor | None:
    return attention_mask(rows, columns, window, how, NONE, wanted)


@st.composite
def batches(draw: st.DrawFn) -> tuple[Held, Held]:
    """Survivors of several prompts of one padded width, of which the last some ask."""
    batch, n = draw(st.integers(1, 3)), draw(st.integers(1, 7))
    places, padding = [], []
    for _ in range(batch):
        pad = draw(st.integers(0, n - 1))
        kept = sorted(draw(st.sets(st.integers(0, 30), min_size=n - pad, max_size=n - pad)))
        places.append([kept[0]] * pad + kept)
        padding.append(pad)
    columns = held(places, padding)
    return columns.last(draw(st.integers(1, n))), columns


@given(batches(), st.one_of(st.none(), st.integers(1, 20)))
def test_it_is_the_mask_of_loops_in_every_form(pair: tuple[Held, Held], window: int | None) -> None:
    rows, columns = pair
    seen = mask(rows, columns, window=window)
    assert seen is not None and seen.dtype == torch.bool and seen.shape == (len(rows.columns), 1, *_shape(pair))
    assert seen[:, 0].tolist() == by_hand(rows, columns, window)
    added = mask(rows, columns, "eager", window)
    assert added is not None and torch.equal(added == 0, seen) and bool((added[~seen] == torch.finfo(NONE).min).all())


def _shape(pair: tuple[Held, Held]) -> tuple[int, int]:
    return pair[0].columns.shape[1], pair[1].columns.shape[1]


@given(batches(), st.one_of(st.none(), st.integers(1, 20)))
def test_no_row_is_without_a_key_and_none_but_padding_sees_padding(pair: tuple[Held, Held], window: int | None) -> None:
    rows, columns = pair
    seen = mask(rows, columns, window=window)
    assert seen is not None and bool(seen.any(-1).all())
    assert not bool((seen[:, 0] & rows.valid[:, :, None] & ~columns.valid[:, None, :]).any())
    weights = torch.zeros(seen.shape).masked_fill(~seen, float("-inf")).softmax(-1)
    assert not bool(weights.isnan().any())


@given(batches())
def test_flash_attention_gets_which_columns_are_real(pair: tuple[Held, Held]) -> None:
    found = mask(*pair, "flash_attention_2")
    if bool(pair[1].valid.all()):
        assert found is None
    else:
        assert found is not None and found.dtype == torch.long and torch.equal(found.bool(), pair[1].valid)


@pytest.mark.parametrize(
    ("rows", "window", "wanted", "needed"),
    [
        (5, None, False, False),  # all ask, nothing is padded: the kernel's own causal mask is right
        (1, None, False, False),  # one asks, and sees all
        (3, None, False, True),  # the last three of five: causal masks of kernels begin at the first column
        (5, None, True, True),
        (5, 12, False, True),  # places are 0 to 12
        (5, 13, False, False),
    ],
)
def test_there_is_none_where_the_kernels_own_is_right(
    rows: int, window: int | None, wanted: bool, needed: bool
) -> None:
    columns = held([[0, 2, 7, 8, 12]], [0])
    assert (mask(columns.last(rows), columns, window=window, wanted=wanted) is not None) == needed


def test_windows_count_what_was_dropped() -> None:
    """Three back of place 12 are 10, 11 and 12, though the survivors before it stand in the two columns before."""
    columns = held([[0, 2, 10, 12]], [0])
    assert mask(columns.last(1), columns, window=3) is not None
    assert mask(columns.last(1), columns, window=3)[0, 0].tolist() == [[False, False, True, True]]  # type: ignore[index]


def test_padding_is_closed_though_transformers_made_no_mask() -> None:
    columns = held([[4, 4, 9], [0, 4, 9]], [1, 0])
    assert mask(columns, columns, wanted=False) is not None and mask(columns.last(1), columns, wanted=False) is not None


@pytest.mark.parametrize(("first", "last"), [(0, 2), (1, 3), (3, 5), (6, 8), (0, 3), (3, 6)])
def test_a_window_needs_a_mask_once_the_first_key_has_left_it(first: int, last: int) -> None:
    """Of three tokens back, the row itself included, wherever in the conversation they stand."""
    columns = held([[first, first + 1, last]], [0])
    made = attention_mask(columns.last(1), columns, 3, "sdpa", NONE, False)
    assert (made is None) is (last - first < 3)
    ragged = held([[first, first + 1, last], [last - 2, last - 1, last]], [0, 0])
    assert (attention_mask(ragged.last(1), ragged, 3, "sdpa", NONE, False) is None) is (last - first < 3)

"""What each layer sees of one call, and of what was held before."""

from typing import Any

import pytest
import torch
from torch import Tensor

from winnow.models.engine.forward import Forward
from winnow.models.engine.ledger import Held, Ledger
from winnow.models.engine.prefill import Prefill
from winnow.models.engine.sequence import Stage
from winnow.reducers.core.layout import Layout
from winnow.reducers.none import NoReduction

CPU = torch.device("cpu")


def held(*columns: int, shift: int | None = None) -> Held:
    made = torch.tensor([columns])
    return Held(made, torch.ones_like(made, dtype=torch.bool), None if shift is None else torch.tensor([shift]))


def stage(*columns: int, valid: list[int] | None = None, **more: Any) -> Stage:
    made = torch.tensor([columns])
    return Stage(made, torch.ones_like(made).bool() if valid is None else torch.tensor([valid]).bool(), **more)


def forward(ledger: Ledger, new: int, mask: list[int] | None = None, *layouts: Layout, **more: Any) -> Forward:
    """One row's forward; a prefill if it has prompts."""
    given = None if mask is None else torch.tensor([mask])
    prefill = Prefill(NoReduction(), layouts, new, ledger.depth, **more) if layouts else None
    return Forward(ledger, new, given, numbered=False, prefill=prefill)


def books(depth: int = 2, width: int = 0, *rows: Held | None, **more: Any) -> Ledger:
    return Ledger("me", depth, width=width, batch=1, held=list(rows), **more)


def told(one: Held) -> tuple[list[int], list[int]]:
    return one.columns[0].tolist(), one.valid[0].int().tolist()


def test_a_layer_sees_what_layer_0_saw_unless_something_is_gone() -> None:
    plain = forward(books(2, 3), 2)
    assert plain.whole(0) and plain.whole(1) and plain.rows(1) is None and plain.entry is None and plain.tail == 0
    assert [told(one) for one in plain.seen(1)] == [([3, 4], [1, 1]), ([0, 1, 2, 3, 4], [1] * 5)]
    apart = forward(books(2, 3, None, held(0, 2)), 1)
    assert apart.whole(0) and not apart.whole(1)
    assert [told(one) for one in apart.seen(1)] == [([3], [1]), ([0, 2, 3], [1] * 3)]
    both = held(0, 2)
    assert forward(books(2, 3, both, both), 1).whole(1)


def test_padding_is_seen_by_nobody() -> None:
    padded = forward(books(1, 3), 2, [0, 1, 1, 0, 1])
    assert [told(one) for one in padded.seen(0)] == [([3, 4], [0, 1]), ([0, 1, 2, 3, 4], [0, 1, 1, 0, 1])]


def test_columns_of_a_stage_are_those_of_the_conversation() -> None:
    """Three tokens are held, five come; the entrance leaves 0, 2 and 4 of these, layer 1 the last two of them."""
    made = forward(books(3, 3), 5, None, Layout(5))
    assert made.prefill is not None
    made.prefill.entry = stage(0, 2, 4, shift=torch.tensor([2]))
    made.prefill.stages = [(1, stage(1, 2, shift=torch.tensor([1]))), (2, stage(2))]
    rows = [made.rows(layer) for layer in range(3)]
    assert [told(one)[0] for one in rows if one] == [[3, 5, 7], [5, 7], [7]]
    assert [None if one is None else one.shift for one in rows] == [None, torch.tensor([1]), None]
    assert made.rows(1) is rows[1] and not made.whole(1) and made.whole(0)
    assert told(made.seen(2)[1]) == ([0, 1, 2, 7], [1] * 4)


def test_what_is_hidden_is_held_and_not_seen() -> None:
    made, places = forward(books(3, 3), 1), torch.tensor([[False, True, False, False]])
    made.hide(torch.zeros(1, 4, dtype=torch.bool), 1)
    assert not made.narrowed(2)
    made.hide(places, 1)
    assert [made.narrowed(layer) for layer in range(3)] == [False, True, True]
    assert told(made.seen(1)[1]) == ([0, 1, 2, 3], [1, 0, 1, 1]) and told(made.seen(0)[1]) == ([0, 1, 2, 3], [1] * 4)


def test_places_of_the_prompts_tokens() -> None:
    assert [row.tolist() for row in forward(books(1, 4), 5, None, Layout(3)).places()] == [[6, 7, 8]]
    assert [row.tolist() for row in forward(books(1, 4), 5, None, Layout(3), tail=2).places()] == [[4, 5, 6]]
    real = [torch.tensor([0, 1, 3])]
    assert [row.tolist() for row in forward(books(1, 4), 5, None, Layout(3), real=real).places()] == [[4, 5, 7]]
    assert forward(books(1, 4), 1).places() == []


def test_which_picture_each_token_is_of() -> None:
    prompt = Layout.of(7, (1, (1, 1, 2)), (4, (1, 1, 2)))
    assert forward(books(1, 2), 8, None, prompt).pictures.tolist() == [[-1, -1, -1, -1, 0, 0, -1, 1, 1, -1]]
    assert forward(books(1, 2), 1).pictures.tolist() == [[-1, -1, -1]]


def entrance(ledger: Ledger, new: int, positions: Tensor | None, numbered: bool = False) -> list[int] | None:
    found = Forward(ledger, new, None, numbered).entrance(positions, CPU)
    return None if found is None else found[0].tolist()


def test_positions_go_on_as_if_nothing_were_gone() -> None:
    """The cache stands for 9 tokens and holds 4: transformers counts on from 4."""
    short = books(1, 9, held(0, 1, 2, 8))
    assert entrance(books(1), 3, None) is None and entrance(books(1), 3, torch.tensor([[0, 1, 2]])) == [0, 1, 2]
    assert entrance(short, 2, None) == [9, 10]
    assert entrance(short, 2, torch.tensor([[4, 5]])) == [9, 10]
    assert entrance(short, 2, torch.tensor([[20, 21]]), numbered=True) == [20, 21]
    assert entrance(books(1, 9), 2, torch.tensor([[9, 10]])) == [9, 10]
    assert entrance(books(1, 9), 2, torch.arange(11)[None]) == [9, 10]  # M-RoPE: of the whole mask
    assert entrance(books(1, 9, shift=torch.tensor([3])), 2, None) == [6, 7]


def test_later_places_follow_a_prompts_largest_position() -> None:
    ledger = books(1)
    made = forward(ledger, 4)
    made.follow(None)
    assert ledger.offset is None
    made.follow(torch.tensor([[0, 1, 5, 6]]))
    assert ledger.offset.tolist() == [[3]]  # seven places, four tokens
    turned = torch.tensor([[[90, 91, 92, 93]], [[0, 1, 1, 2]], [[0, 1, 2, 3]], [[0, 1, 1, 2]]])  # text, then t, h, w
    made.follow(turned)
    assert ledger.offset.tolist() == [[0]]
    forward(ledger, 4, [0, 1, 1, 1]).follow(torch.tensor([[0, 0, 1, 5]]))
    assert ledger.offset.tolist() == [[3]]


def inputs(made: Forward, positions: Tensor | None, given: Tensor | None = None) -> list[Any]:
    found = made.llm_inputs(torch.zeros(1, 3, 2), positions, given)
    return [None if found[name] is None else found[name].tolist() for name in ("attention_mask", "position_ids")]


def test_the_llm_is_told_what_is_left() -> None:
    made = forward(books(1, 2), 5, None, Layout(5))
    assert made.prefill is not None
    made.prefill.entry = stage(0, 2, 4)
    assert inputs(made, None) == [[[1] * 5], [[0, 2, 4]]]
    assert inputs(made, torch.arange(10, 15)[None]) == [[[1] * 5], [[10, 12, 14]]]
    assert inputs(made, torch.arange(10, 25).view(3, 1, 5))[1] == [[[10, 12, 14]], [[15, 17, 19]], [[20, 22, 24]]]
    made.prefill.entry = stage(0, 2, 4, valid=[0, 1, 1], positions=torch.tensor([[7, 7, 8]]))
    assert inputs(made, None) == [[[1, 1, 0, 1, 1]], [[7, 7, 8]]]


def test_a_step_behind_whole_keys_needs_no_mask() -> None:
    step = forward(books(1, 9, held(0, 1, 8)), 1)
    assert inputs(step, torch.tensor([[9]])) == [None, [[9]]]
    assert inputs(step, torch.tensor([[9]]), torch.ones(1, 4))[0] == [[1] * 4]
    padded = forward(books(1, 9, held(0, 1, 8)), 1, [0] + [1] * 9)
    assert inputs(padded, None) == [[[0, 1, 1, 1]], None]


def test_the_mask_of_a_step_is_that_of_what_layer_0_holds() -> None:
    """Later layers hold less, and are told so by themselves."""
    step = forward(books(3, 9, held(0, 1, 8), held(0, 8), held(8)), 1, [0] + [1] * 9)
    assert inputs(step, None)[0] == [[0, 1, 1, 1]]


def test_positions_of_a_layer_differ_where_it_renumbered() -> None:
    ledger = books(3, 4, None, held(0, 1, 3, shift=2), held(0, shift=0))
    made = forward(ledger, 3, None, Layout(3))
    assert made.prefill is not None
    made.positions = torch.tensor([[4, 5, 6]])
    moved = [made.moved(layer) for layer in range(3)]
    assert [None if one is None else one.tolist() for one in moved] == [None, [[2, 3, 4]], None]
    made.prefill.stages = [(1, stage(0, 2)), (2, stage(0, 2, positions=torch.tensor([[8, 9]])))]
    moved = [made.moved(layer) for layer in range(3)]
    assert [None if one is None else one.tolist() for one in moved] == [None, [[2, 4]], [[8, 9]]]
    ledger.held[2] = held(0, shift=5)
    found = made.moved(2)
    assert found is not None and found.tolist() == [[3, 4]]


@pytest.mark.parametrize(("before", "shift"), [(None, 2), (3, 5)])
def test_the_books_are_closed_behind_a_forward(before: int | None, shift: int) -> None:
    ledger = books(2, 3, shift=None if before is None else torch.tensor([before]))
    made = forward(ledger, 4, None, Layout(3), tail=1)
    assert made.prefill is not None
    made.prefill.entry = stage(0, 3, shift=torch.tensor([2]))
    made.cache = type("Cache", (), {})()
    made.close()
    assert ledger.shift is not None and ledger.shift.tolist() == [shift]
    assert (ledger.width, ledger.floor) == (7, 6) and vars(made.cache)["_winnow_ledger"] is ledger
    assert [told(one)[0] for one in ledger.held if one] == [[0, 1, 2, 3, 6]] * 2

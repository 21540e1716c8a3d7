"""The tower answers from memory when the same pixels come again, and leaves what it was."""

from contextlib import contextmanager, nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers.modeling_outputs import BaseModelOutput

from winnow.models.engine.reuse import Reuse, _remembering, fresh_tower, replaced


class Tower:
    """Counts its passes."""

    passes = 0

    def forward(self, pixel_values: Tensor, *args: Any, **kwargs: Any) -> Any:
        self.passes += 1
        return BaseModelOutput(last_hidden_state=pixel_values * 2)


def watched() -> tuple[Tower, Reuse, Any]:
    tower, reuse = Tower(), Reuse()
    return tower, reuse, _remembering(tower, reuse, nullcontext)


def test_the_same_pixels_are_encoded_once() -> None:
    tower, reuse, forward = watched()
    pixels = torch.arange(4.0)
    first = forward(pixels, output_hidden_states=True)
    again = forward(pixels.clone(), output_hidden_states=True)
    assert (tower.passes, reuse.passes, reuse.spared) == (1, 1, 1)
    assert torch.equal(first.last_hidden_state, again.last_hidden_state) and first is not again  # some models write


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        ((torch.arange(4.0) + 1,), {"flag": True}), ((torch.arange(4.0).double(),), {"flag": True}),
        ((torch.arange(4.0).view(2, 2),), {"flag": True}), ((torch.arange(4.0),), {"flag": False}),
        ((torch.arange(4.0),), {"flag": 1}), ((torch.arange(4.0),), {}), ((torch.arange(4.0), 1), {"flag": True}),
        ((torch.arange(4.0),), {"flag": True, "more": None}),
    ],
)  # fmt: skip
def test_another_call_is_another_pass(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    tower, reuse, forward = watched()
    forward(torch.arange(4.0), flag=True)
    forward(*args, **kwargs)
    assert (tower.passes, reuse.passes, reuse.spared) == (2, 2, 0)


@pytest.mark.parametrize("numbers", [(1, 2), (2, 1)])
def test_another_number_is_another_pass(numbers: tuple[int, int]) -> None:
    tower, _, forward = watched()
    for number in numbers:
        forward(torch.arange(4.0), flag=number)
    assert tower.passes == 2


def test_the_last_call_alone_is_remembered() -> None:
    tower, reuse, forward = watched()
    for number in (0, 1, 0):
        forward(torch.full((2,), float(number)))
    assert (tower.passes, reuse.spared) == (3, 0)


def test_every_pass_is_timed_and_nothing_else() -> None:
    tower, spans = Tower(), list[str]()

    @contextmanager
    def timed() -> Any:
        spans.append("begins")
        yield
        spans.append("ends")

    forward = _remembering(tower, Reuse(), timed)
    for _ in range(2):
        forward(torch.ones(2))
    assert spans == ["begins", "ends"] and tower.passes == 1


def test_who_acts_in_the_tower_has_a_fresh_one() -> None:
    tower, reuse, forward = watched()
    with replaced(tower, "forward", forward):
        tower.forward(torch.ones(2))
        with fresh_tower(tower):
            for _ in range(2):
                tower.forward(torch.ones(2))
        assert (tower.passes, reuse.passes) == (3, 1)
        tower.forward(torch.ones(2))
    assert (tower.passes, reuse.spared) == (3, 1) and "forward" not in vars(tower)


def test_an_attribute_is_as_it_was_also_behind_an_exception() -> None:
    thing: Any = Tower()
    thing.own = 1
    with replaced(thing, "own", 2), replaced(thing, "other", 3):
        assert (thing.own, thing.other) == (2, 3)
    assert vars(thing) == {"own": 1}
    with pytest.raises(KeyError), replaced(thing, "other", 3):
        raise KeyError
    assert vars(thing) == {"own": 1}

"""Which of the tokens that a call brings are new to a cache."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from winnow.models.engine.ledger import Ledger
from winnow.models.engine.opening import fresh, last, whole_kinds
from winnow.reducers.core.errors import UnsupportedError


def new(given: int, held: int, mask: int | None = None, call: Any = None) -> int:
    ids, ledger = torch.zeros(1, given, dtype=torch.long), Ledger("me", 1, width=held)
    return fresh(ids, None if mask is None else torch.ones(1, mask), ledger, call)


def call(first: bool = True, begins: bool = True, width: int = 9) -> Any:
    return SimpleNamespace(first=first, begins=lambda ids: begins, width=width)


def test_all_is_new_to_an_empty_cache() -> None:
    assert new(5, 0) == new(5, 0, mask=3) == new(5, 0, call=call()) == 5


def test_what_goes_beyond_the_cache_is_new() -> None:
    assert new(2, 7) == 2  # nothing says that the cache's tokens are among them
    assert new(9, 7, mask=9) == 2 and new(2, 7, mask=9) == 2 and new(9, 8, mask=9) == 1
    assert new(9, 7, call=call()) == 2  # the call brings the whole conversation
    assert new(3, 7, call=call(begins=False, width=9)) == 2
    assert new(3, 7, call=call(first=False)) == 3


@pytest.mark.parametrize(("given", "held", "mask"), [(5, 7, 7), (5, 7, 6), (2, 7, 10), (9, 7, 17)])
def test_what_cannot_be_the_rest_of_the_conversation_is_refused(given: int, held: int, mask: int) -> None:
    with pytest.raises(UnsupportedError, match=f"the cache stands for {held} tokens and the call brings {given}: pass"):
        new(given, held, mask=mask)


def test_inputs_without_what_the_cache_holds() -> None:
    ids, positions, embeds = torch.arange(5)[None], torch.arange(15).view(3, 1, 5), torch.arange(10.0).view(1, 5, 2)
    kwargs = {"input_ids": ids, "position_ids": positions, "attention_mask": torch.ones(1, 9), "token_type_ids": None}
    cut = last(kwargs, 5, 2)
    assert cut["input_ids"].tolist() == [[3, 4]] and torch.equal(cut["position_ids"], positions[..., 3:])
    assert cut["attention_mask"].shape == (1, 9) and cut["token_type_ids"] is None and "inputs_embeds" not in cut
    assert last(kwargs, 5, 5) is kwargs
    assert torch.equal(last({"inputs_embeds": embeds}, 5, 1)["inputs_embeds"], embeds[:, 4:])


@pytest.mark.parametrize(("held", "new", "given", "seen"), [(3, 2, 2, 5), (3, 2, 5, 5), (0, 2, 2, 2), (3, 1, 1, 1)])
def test_kinds_of_a_later_turn_are_those_of_the_conversation(held: int, new: int, given: int, seen: int) -> None:
    """transformers 5.17's `generate` hands Gemma 3 the kinds of new tokens alone, and its mask takes them for the first
    ones; 5.23 hands on all, as the tokens that are cached count as text.
    """
    kinds = torch.ones(1, given).long()
    told = whole_kinds({"token_type_ids": kinds, "use_cache": True}, "token_type_ids", held, new)
    assert told["token_type_ids"].tolist() == [[0] * (seen - given) + [1] * given] and told["use_cache"]
    assert whole_kinds({}, "token_type_ids", held, new) == {}

"""Which of the tokens that a call brings are new to a cache."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from winnow.models.engine.forward import Forward
from winnow.models.engine.ledger import Ledger
from winnow.models.engine.opening import Opening, _without, fresh, last, whole_kinds
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.layout import Layout
from winnow.reducers.none import NoReduction


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


def test_inputs_without_what_was_drafted() -> None:
    kwargs = {name: torch.arange(5)[None] for name in ("position_ids", "mm_token_type_ids", "attention_mask")}
    cut = _without(kwargs | {"token_type_ids": None}, 2)
    assert cut["position_ids"].tolist() == cut["mm_token_type_ids"].tolist() == [[0, 1, 2]]
    assert cut["attention_mask"].shape == (1, 5) and cut["token_type_ids"] is None
    assert _without(kwargs, 0) == kwargs


def begun(
    given: list[list[int]], held: int = 0, mask: list[list[int]] | None = None, call: Any = None, **inputs: Any
) -> tuple[Any, list[Any]]:
    """The prefill of some ids, and the prompts that the family was asked to lay out."""
    asked: list[Any] = []

    def layouts(outer: Any, prompts: Any, told: Any) -> list[Layout]:
        asked.append(([row.tolist() for row in prompts], told))
        return [Layout(len(row)) for row in prompts]

    family: Any = SimpleNamespace(
        layouts=layouts, mrope=False, both_ways=False, kinds="token_type_ids", packed=False, name="some"
    )
    parts: Any = SimpleNamespace(outer=None, layers=[None] * 4, llm=SimpleNamespace(norm=None))
    ids = torch.tensor(given)
    ledger = Ledger("me", 4, width=held, batch=len(ids))
    forward = Forward(ledger, ids.shape[1], None if mask is None else torch.tensor(mask), False)
    opening = Opening(parts, family, NoReduction(), (), ())
    return opening.begin(forward, ids, inputs, call), asked


def calling(width: int, begins: bool = True, prompts: int = 1, **sizes: Any) -> Any:
    return SimpleNamespace(width=width, begins=lambda ids: begins, prompts=prompts, numbered=False, sizes=sizes)


def test_a_prefill_is_of_the_prompts_tokens_without_padding() -> None:
    prefill, asked = begun([[0, 7, 8], [4, 5, 6]], mask=[[0, 1, 1], [1, 1, 1]])
    assert asked[0][0] == [[7, 8], [4, 5, 6]] and prefill.real is None
    assert (prefill.width, prefill.tail, prefill.copies, prefill.depth) == (3, 0, 1, 4)
    assert [one.start for one in prefill.recorders] == [0, 0]
    assert begun([[7, 8, 9]])[1][0][0] == [[7, 8, 9]]


def test_what_is_drafted_behind_the_prompt_is_its_tail() -> None:
    """The call's prompt has 4 tokens, of which 1 is held; two of the five that come are drafts."""
    prefill, asked = begun([[5, 6, 7, 8, 9]], held=1, call=calling(4), position_ids=torch.arange(5)[None])
    assert asked[0][0] == [[5, 6, 7]] and (prefill.tail, prefill.width) == (2, 5)
    assert asked[0][1]["position_ids"].tolist() == [[0, 1, 2]]
    prefill, asked = begun([[5, 6, 7]], call=calling(2, begins=False))
    assert asked[0][0] == [[5, 6, 7]] and prefill.tail == 0  # another prompt than the call's
    prefill, asked = begun([[5, 6, 7]], call=calling(2))
    assert asked[0][0] == [[5, 6]] and prefill.tail == 1


def test_a_later_turn_begins_behind_what_is_no_padding() -> None:
    """The first row's answer was shorter; its last token stands in front of the padding."""
    prefill, asked = begun([[7, 0, 8], [4, 5, 6]], held=2, mask=[[0, 1, 1, 0, 1], [1, 1, 1, 1, 1]])
    assert asked[0][0] == [[7, 8], [4, 5, 6]]
    assert [row.tolist() for row in prefill.real] == [[0, 2], [0, 1, 2]]
    assert [one.start for one in prefill.recorders] == [1, 2]
    assert [one.start for one in begun([[7, 8]], held=2)[0].recorders] == [2]


def test_sequences_of_a_prompt_and_sizes_of_one_of_them() -> None:
    prefill, asked = begun([[7, 8]] * 4, call=calling(2, prompts=2, image_sizes=[1, 2]))
    assert prefill.copies == 2 and len(prefill.layouts) == 4
    assert asked == [([[7, 8], [7, 8]], {"image_sizes": [1, 2]})]
    assert begun([[7, 8]] * 3, call=calling(2, prompts=2))[0].copies == 1
    assert len(begun([[7, 8]] * 4, call=calling(2, prompts=2))[1][0][0]) == 4

"""What `generate` is given while a method is attached."""

import warnings
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import DynamicCache

from winnow.models.engine.generating import _calling, _in_one_piece, _of_what_is_new, _refusing
from winnow.reducers.core.errors import UnsupportedError


def test_cached_pictures_are_text() -> None:
    kinds = torch.tensor([[0, 1, 1, 0, 2]])
    assert _of_what_is_new({"mm_token_type_ids": kinds, "x": 1}, 2)["mm_token_type_ids"].tolist() == [[0, 0, 1, 0, 2]]
    kwargs = {"mm_token_type_ids": kinds}
    assert _of_what_is_new(kwargs, 0) is kwargs and kinds.tolist() == [[0, 1, 1, 0, 2]]
    assert _of_what_is_new({"x": 1}, 2) == {"x": 1}


def test_a_prompt_is_prefilled_in_one_piece() -> None:
    model, kwargs = SimpleNamespace(generation_config=SimpleNamespace()), {"x": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert _in_one_piece(model, {}, kwargs) is kwargs
    with pytest.warns(UserWarning, match="prefill_chunk_size=8: while a method is attached"):
        found = _in_one_piece(model, {"kwargs": {"prefill_chunk_size": 8}}, kwargs)
    assert found == {"x": 1, "prefill_chunk_size": None}


def test_ways_into_continuous_batching_are_closed() -> None:
    with pytest.raises(UnsupportedError, match=r"^generate_batch: paged caches hold the same tokens in all layers"):
        _refusing("generate_batch")(1, x=2)


def session(held: int = 0) -> Any:
    """Notes what it is told."""
    own = SimpleNamespace(
        call=None, told=[], looked=[], recall=lambda cache: held,
        family=SimpleNamespace(kinds="token_type_ids", sizes=("image_sizes",), both_ways=False, name="some"),
    )  # fmt: skip
    own.numbering = SimpleNamespace(look=own.looked.append)
    own.expect = lambda ids, mask, inputs, held: own.told.append((ids, mask, held))
    return own


IDS, PADDED = torch.tensor([[7, 8, 9]]), torch.tensor([[0, 1, 1]])


def test_a_call_is_known_until_it_ends() -> None:
    own, outer = session(), object()
    own.call = outer
    bound = {"kwargs": {"input_ids": IDS, "attention_mask": PADDED, "image_sizes": [1], "position_ids": None}}
    with _calling(own, bound) as held:
        assert held == 0 and own.call.ids is IDS and own.call.width == 3 and not own.call.numbered
        assert own.call.sizes == {"image_sizes": [1]} and own.call.first
    assert own.call is outer and own.told[0][1] is PADDED and own.looked[0]["input_ids"] is IDS
    with pytest.raises(KeyError), _calling(own, bound):
        raise KeyError
    assert own.call is outer


@pytest.mark.parametrize(
    ("kwargs", "width", "numbered"),
    [
        ({}, 3, False), ({"attention_mask": torch.ones(1, 5, dtype=torch.long)}, 5, False),
        ({"position_ids": torch.arange(3)[None]}, 3, True),
    ],
)  # fmt: skip
def test_the_width_is_that_of_the_mask_or_of_the_ids(kwargs: dict[str, Any], width: int, numbered: bool) -> None:
    own = session(held=2)
    with _calling(own, {"inputs": IDS, "kwargs": kwargs}) as held:
        assert (held, own.call.width, own.call.numbered) == (2, width, numbered)
    assert own.looked == []  # which is for whole prompts alone


def test_calls_without_a_prompt_of_their_own() -> None:
    own = session()
    with _calling(own, {}):
        assert own.call.ids is None and own.call.width == 0
    with _calling(own, {"kwargs": {"attention_mask": PADDED}}):
        assert own.call.width == 3


def test_what_cannot_be_exact_is_refused_before_the_first_forward() -> None:
    for kwargs, said in (
        ({"inputs_embeds": torch.zeros(1, 3, 2)}, "pass input_ids"),
        ({"input_ids": IDS, "attention_mask": torch.tensor([[1, 1, 0]])}, "padded on the left"),
        ({"input_ids": IDS, "attention_mask": torch.ones(1, 1, 3, 3)}, "4-D, additive and dict masks"),
        ({"input_ids": IDS, "past_key_values": object()}, "object cannot hold layers"),
    ):
        with pytest.raises(UnsupportedError, match=said), _calling(session(), {"kwargs": kwargs}):
            pass
    own = session()
    own.family.both_ways = True
    kinds = {"input_ids": IDS, "token_type_ids": torch.zeros(1, 2)}
    with pytest.raises(UnsupportedError, match="of 2 tokens where the conversation has 3"):
        _calling(own, {"kwargs": kinds}).__enter__()
    later = {"input_ids": IDS, "attention_mask": PADDED.flip(1), "cache": DynamicCache()}
    with _calling(session(1), {"kwargs": later}) as held:
        assert held == 1  # the answer before stands in front of the padding of a later turn

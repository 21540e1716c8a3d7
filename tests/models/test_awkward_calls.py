"""Calls that are seldom made: named or by place, by hand or through `generate`, exact or refused in one line."""

from typing import Any

import pytest
import torch
from calling import Talk, ask

from winnow.models.check.cases import image_prompt, mixed_prompt, text_prompt, video_prompt
from winnow.models.engine import attach
from winnow.models.engine.joint import begin
from winnow.models.transformers_api import CACHE, ROPE_DELTAS, TAKES_APART, cache_of
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.random import RandomDrop

LAYER = FastV(ratio=0.3)
METHODS: dict[str, Reducer] = {"none": NoReduction(), "entrance": RandomDrop(ratio=0.3), "layer": LAYER}
methods = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)


def by_place(model: Any, **given: Any) -> Any:
    """Call a model with arguments that have no names."""
    import inspect

    names = list(inspect.signature(type(model).forward).parameters)[1:]
    last = max(names.index(name) for name in given)
    return model(*(given.get(name) for name in names[: last + 1]))


@torch.no_grad()
def test_arguments_by_place_are_those_by_name() -> None:
    talk = Talk("llava", [image_prompt()])
    wanted = torch.tensor([-2])
    with attach(talk.model, LAYER):
        named = talk.model(**talk.inputs, logits_to_keep=wanted).logits
        assert torch.equal(by_place(talk.model, **talk.inputs, logits_to_keep=wanted).logits, named)
        with pytest.raises(UnsupportedError, match="vision_feature_layer=-1 set it in the model's configuration"):
            by_place(talk.model, **talk.inputs, vision_feature_layer=-1)


@torch.no_grad()
def test_columns_may_be_a_list() -> None:
    talk = Talk("llava", [image_prompt()])
    with attach(talk.model, LAYER):
        named = talk.model(**talk.inputs, logits_to_keep=torch.tensor([-3, -1])).logits
        assert torch.equal(talk.model(**talk.inputs, logits_to_keep=[-3, -1]).logits, named)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (torch.tensor([True, False]), "give a number"),
        (torch.tensor([], dtype=torch.long), "give a number"),
        (torch.tensor(3), "give a number"),
        (torch.tensor([1.0]), "give a number"),
        (slice(1, 2), "give a number"),
        (True, "give a number"),
        (torch.tensor([9999]), "not among the"),
        (torch.tensor([-9999]), "not among the"),
    ],
)
def test_columns_that_are_none_are_refused(wanted: Any, words: str) -> None:
    talk = Talk("llava", [image_prompt()])
    with torch.no_grad(), attach(talk.model, LAYER), pytest.raises(UnsupportedError, match=words) as refused:
        talk.model(**talk.inputs, logits_to_keep=wanted)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("keys", [["a"], ["a", "b", "c"], ["a", "b", "c", "d"]])
def test_keys_are_one_per_prompt(keys: list[str]) -> None:
    talk = Talk("llava", [image_prompt(), image_prompt("red ?")])
    with attach(talk.model, LAYER, keys=keys), pytest.raises(WinnowError, match="a batch of 2 prompts: give one per"):
        ask(talk.model, talk.inputs, 1, do_sample=True, num_return_sequences=2)


def test_keys_are_a_list() -> None:
    talk = Talk("llava", [image_prompt()])
    with pytest.raises(WinnowError, match="keys='ab' is one name"), attach(talk.model, LAYER, keys="ab"):
        pass


@pytest.mark.skipif(TAKES_APART, reason="refused, see below")
@methods
@pytest.mark.parametrize("family", ["glm4v", "qwen2_vl", "gemma3", "llava"])
def test_sequences_of_a_prompt_see_its_pictures_in_order(family: str, method: Reducer) -> None:
    """GLM-4.1V of transformers 5.18 to 5.24 repeats the pictures of a prompt one by one for several sequences, so that
    its first sequence sees the first picture twice (its own `_expand_multimodal_outputs`)."""
    talk = Talk(family, [mixed_prompt(), video_prompt()])
    with attach(talk.model, method, keys=["a", "b"]):
        one = ask(talk.model, talk.inputs, 1).logits[0]
        two = ask(talk.model, talk.inputs, 1, do_sample=True, top_k=0, num_return_sequences=2).logits[0]
    assert (two - one.repeat_interleave(2, 0)).abs().max() < 2e-4


@pytest.mark.skipif(not TAKES_APART, reason="this version repeats them together")
def test_sequences_that_would_see_other_pictures_are_refused() -> None:
    talk = Talk("llava", [video_prompt()])
    with attach(talk.model, LAYER), pytest.raises(UnsupportedError, match=r"5\.17 mixes up the pictures"):
        ask(talk.model, talk.inputs, 1, do_sample=True, num_return_sequences=2)


def test_kinds_of_a_new_turn_alone_are_refused() -> None:
    """Gemma 3 compares the kinds of tokens by their places in the whole conversation."""
    talk = Talk("gemma3", [image_prompt()])
    more = dict(Talk("gemma3", [text_prompt("and ?")]).inputs)
    with attach(talk.model, LAYER):
        out = ask(talk.model, talk.inputs, 2)
        ids = torch.cat([out.sequences, more["input_ids"]], 1)
        given = {"input_ids": ids, "token_type_ids": more["token_type_ids"], CACHE: cache_of(out)}
        with pytest.raises(UnsupportedError, match=r"token_type_ids are of \d+ tokens where the conversation has \d+"):
            talk.model.generate(**given, max_new_tokens=1)


@methods
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl", "glm4v"])
@torch.no_grad()
def test_a_step_by_hand_may_bring_the_whole_mask(family: str, method: Reducer) -> None:
    """Models with M-RoPE of transformers 5.23 then number every token of the mask, and not the new ones alone."""
    prompts = [image_prompt(), image_prompt("is it red or blue ?")]
    both, step = Talk(family, prompts), torch.tensor([[9], [9]])
    with attach(both.model, method, keys=["a", "b"]):
        cache = cache_of(both.model(**both.inputs, use_cache=True))
        mask = torch.cat([both.inputs["attention_mask"], torch.ones_like(step)], 1)
        got = both.model(input_ids=step, attention_mask=mask, **{CACHE: cache}, use_cache=True).logits
    for row, prompt in enumerate(prompts):
        alone = Talk(family, [prompt])
        with attach(alone.model, method, keys=["ab"[row]]):
            cache = cache_of(alone.model(**alone.inputs, use_cache=True))
            expected = alone.model(input_ids=step[:1], **{CACHE: cache}, use_cache=True).logits
        assert (got[row, -1] - expected[0, -1]).abs().max() < 2e-4


def test_the_offset_of_the_last_prompt_is_left_as_it_was() -> None:
    talk = Talk("qwen2_vl", [image_prompt()])
    outer: Any = talk.model.model
    setattr(outer, ROPE_DELTAS, before := torch.tensor([[7]]))
    try:
        with torch.no_grad(), attach(talk.model, LAYER):
            talk.model(**talk.inputs, use_cache=True)
        assert getattr(outer, ROPE_DELTAS) is before
    finally:
        setattr(outer, ROPE_DELTAS, None)


@methods
@pytest.mark.parametrize("layer", [1, 4])
@torch.no_grad()
def test_a_layer_that_was_cropped_by_itself_is_noticed(layer: int, method: Reducer) -> None:
    talk = Talk("llava", [image_prompt()])
    with attach(talk.model, method):
        cache = cache_of(talk.model(**talk.inputs, use_cache=True))
        cache.layers[layer].crop(-1)
        with pytest.raises(UnsupportedError, match=f"layer {layer} of the KV cache holds"):
            talk.model(input_ids=torch.tensor([[5]]), **{CACHE: cache}, use_cache=True)


@pytest.mark.parametrize(
    "habit", [{"num_beams": 2}, {"guidance_scale": 2.0}, {"forced_eos_token_id": 5}, {"use_cache": False}]
)
def test_habits_of_a_model_are_refused_where_methods_decode_together(habit: dict[str, Any]) -> None:
    talk = Talk("llava", [image_prompt()])
    (name, value) = next(iter(habit.items()))
    before = getattr(talk.model.generation_config, name)
    setattr(talk.model.generation_config, name, value)
    try:
        with attach(talk.model, LAYER), pytest.raises(UnsupportedError, match=f"{name}={value} cannot be held"):
            begin(talk.model, talk.inputs, {"max_new_tokens": 2})
    finally:
        setattr(talk.model.generation_config, name, before)


def test_a_model_that_drafts_for_itself_is_refused() -> None:
    talk = Talk("llava", [image_prompt()])
    with attach(talk.model, LAYER), pytest.raises(UnsupportedError, match="assistant_model is the model itself"):
        talk.model.generate(**talk.inputs, assistant_model=talk.model, max_new_tokens=1)

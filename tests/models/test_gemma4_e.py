"""Gemma 4 E2B and E4B: layers with inputs of their own, and layers that read the keys of earlier ones."""

from typing import Any, cast

import pytest
import torch

from winnow.models.check import Case, invariants
from winnow.models.check.cases import ARCH, drawn, image_prompt, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.families import family_of, kind_in
from winnow.models.transformers_api import cache_of, held_keys
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.schedule import Cuts, First, K
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.pdrop import PDrop
from winnow.reducers.random import RandomDrop
from winnow.reducers.tome import ToMe

OWNERS = {4: 3, 5: 2}
"""Of six layers the last two read keys: of sliding layer 3, and of layer 2, which sees everything."""
TWO = [video_prompt(2), image_prompt()]


def session(model: Any) -> Any:
    return vars(model.model.language_model)["_winnow_session"]


@pytest.mark.parametrize(
    ("reducer", "attn"),
    [
        pytest.param(RandomDrop(ratio=0.4, schedule=K(3)), "eager", id="between the owners"),
        pytest.param(RandomDrop(ratio=0.4, schedule=K(2)), "sdpa", id="before them"),
        pytest.param(ToMe(ratio=0.5, schedule=First(4)), "sdpa", id="inside the last owner"),
        pytest.param(AIMMerge(ratio=0.25), "eager", id="merged at the entrance"),
        pytest.param(PDrop(ratios=(0.6, 0.2), positions="compact", schedule=Cuts((2, 3))), "sdpa", id="numbered anew"),
    ],
)
def test_readers_see_the_keys_of_survivors_alone(reducer: Reducer, attn: str) -> None:
    """In prefill and decoding, against oracles that hide a dropped token from every layer behind."""
    invariants.INVARIANTS["oracle"](Case(tiny_model("gemma4_e", attn), reducer, TWO))


def test_windows_narrower_than_the_prompt() -> None:
    narrow = drawn("gemma4_e", "sdpa", ARCH | {"sliding_window": 40})
    invariants.INVARIANTS["oracle"](Case(narrow, RandomDrop(ratio=0.4, schedule=K(3)), TWO))


def test_readers_hold_nothing_and_of_a_prompt_its_last_token_passes() -> None:
    """From transformers 5.18 on; 5.17 lets all of them pass, to the same logits."""
    loaded = tiny_model("gemma4_e", "sdpa")
    model, inputs, passed = cast(Any, loaded.model), loaded.encode([image_prompt()]), list[int]()
    handle = model.model.language_model.layers[5].register_forward_pre_hook(
        lambda _, args: passed.append(args[0].shape[1])
    )
    with torch.no_grad(), attach(model, RandomDrop(ratio=0.5, schedule=K(3))) as trace:
        own = session(model).fit
        cache = cache_of(model(**inputs, logits_to_keep=1))
        every, last = model(**inputs).logits, model(**inputs, logits_to_keep=1).logits
    handle.remove()
    one = hasattr(model.model.language_model, "first_kv_shared_layer_idx")
    length = trace.prompts[0].tokens_per_layer[5]
    assert passed == [1 if one else length, length, 1 if one else length]
    assert dict(enumerate(own.owners)) == {**{layer: layer for layer in range(4)}, **OWNERS}
    assert [held_keys(cache, layer) for layer in (4, 5)] == [None, None]
    assert held_keys(cache, 2) == trace.prompts[0].layout.length and held_keys(cache, 3) == length
    assert torch.allclose(every[:, -1:], last, atol=1e-4)


@pytest.mark.parametrize(
    ("reducer", "layers"),
    [(RandomDrop(ratio=0.5, schedule=K(4)), r"\[4\]"), (FastV(ratio=0.5, schedule=K(5)), r"\[4, 5\]")],
)
def test_methods_behind_the_layers_that_make_keys_are_refused(reducer: Reducer, layers: str) -> None:
    model = tiny_model("gemma4_e", "sdpa").model
    why = rf"acts in or reads layers {layers}, but layers 4 to 5 read keys of earlier ones.*ends before layer 4"
    with pytest.raises(UnsupportedError, match=why), attach(model, reducer):
        pass


def test_pictures_attend_one_way_and_the_larger_sizes_are_told_apart() -> None:
    loaded = tiny_model("gemma4_e", "sdpa")
    with attach(loaded.model, NoReduction()):
        assert not session(loaded.model).fit.both_ways
    assert family_of(loaded.model).name == "gemma4_e" and family_of(tiny_model("gemma4", "sdpa").model).name == "gemma4"
    text = {"num_kv_shared_layers": 0, "hidden_size_per_layer_input": 256}
    assert kind_in({"model_type": "gemma4", "text_config": text}) == "gemma4_e"

"""Prompts of models with M-RoPE are numbered as the models were trained: in prefill, decoding and later turns."""

import random
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from calling import Talk, ask, joined, oracle_gap
from numbering import Piece, Shown, draw_prompt, encoded, places
from torch import Tensor

from winnow.models.check.cases import film_prompt, image_prompt, mixed_prompt, picture, text_prompt, tiny_model
from winnow.models.engine import attach, trained_positions
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import load
from winnow.models.loading.spec import ModelSpec
from winnow.models.transformers_api import CACHE, cache_of
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.random import RandomDrop

FAMILIES = ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"]
WRONG = ["qwen2_vl", "qwen2_5_vl"]
"""Families of which transformers numbers the films otherwise."""
GAP = 2e-4
LAYER, ENTRANCE = FastV(ratio=0.25), RandomDrop(ratio=0.3)
FILM, OTHER = film_prompt(), film_prompt(frames=8, rate=0.5, text="and this ?")


def rule(family: str, prompts: Sequence[list[Piece]], steps: int = 0) -> list[Tensor]:
    """What the slow oracle says of each prompt and so many tokens of an answer, ``(3, length + steps)``."""
    return [torch.tensor(places(family, [*prompt, steps])).T for prompt in prompts]


def of_oracle(family: str, inputs: Any, steps: int = 0) -> list[Tensor]:
    """The same of encoded prompts."""
    config = tiny_model(family, "sdpa").model.config
    kinds: Any = {config.image_token_id: "image", config.video_token_id: "video"}
    sizes = {kind: iter(inputs.get(f"{kind}_grid_thw", ())) for kind in kinds.values()}
    seconds, prompts = iter(inputs.get("second_per_grid_ts", ())), []
    for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True):
        left, prompt = ids[mask.bool()].tolist(), list[Piece]()
        while left:
            kind = kinds.get(left[0])
            if kind is None:
                prompt.append(1)
                left = left[1:]
                continue
            grid = next(sizes[kind]).tolist()
            shown = Shown(*grid, float(next(seconds, 1)) if kind == "video" else None)
            pieces = [shown] if kind == "image" or family != "qwen3_vl" else [Shown(1, *grid[1:])] * grid[0]
            for number, piece in enumerate(pieces):
                while number and left[0] not in kinds:
                    prompt.append(1)
                    left = left[1:]
                prompt.append(piece)
                left = left[piece.tokens :]
        prompts.append(prompt)
    return rule(family, prompts, steps)


@contextmanager
def heard(model: Any) -> Iterator[list[Tensor]]:
    """Position ids of every forward of the LLM, ``(3, batch, n)`` each."""
    found: list[Tensor] = []

    def note(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        found.append(kwargs["position_ids"][-3:])

    handle = model.model.language_model.register_forward_pre_hook(note, with_kwargs=True)
    try:
        yield found
    finally:
        handle.remove()


def told_right(family: str, inputs: Any, found: Sequence[Tensor], copies: int = 1) -> bool:
    """Whether the forwards of one prompt and its answer had the oracle's positions."""
    said = torch.cat(list(found), -1)
    expected = of_oracle(family, inputs, said.shape[-1] - inputs["input_ids"].shape[1])
    rows = [row for row in expected for _ in range(copies)]
    return said.shape[1] == len(rows) and all(
        torch.equal(said[:, b, -row.shape[1] :], row) for b, row in enumerate(rows)
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("family", FAMILIES)
def test_positions_are_those_of_the_rule(family: str, seed: int) -> None:
    """Batches with padding, pictures and films of 2 to 768 frames at 0.2 to 30 frames a second."""
    dice, model = random.Random(seed), tiny_model(family, "sdpa").model
    prompts = [draw_prompt(dice) for _ in range(3)]
    prompts.append([3, Shown(384, 2, 4, 2 / (0.2, 1.0, 3.7, 30.0)[seed]), 4, Shown(1, 6, 2), 2])
    inputs = encoded(family, model.config, prompts)
    found = trained_positions(model, inputs)
    for b, expected in enumerate(rule(family, prompts)):
        assert torch.equal(found[:, b, inputs["attention_mask"][b].bool()], expected)


def test_whole_seconds_count_as_in_transformers_4() -> None:
    """4 frames/s put all steps of Qwen2.5-VL at one time, 0.5625 frames/s put them 3 seconds apart."""
    model = tiny_model("qwen2_5_vl", "sdpa").model
    apart = {}
    for rate in (4.0, 0.5625, 0.2):
        inputs = encoded("qwen2_5_vl", model.config, [[3, Shown(4, 2, 2, 2 / rate), 2]])
        apart[rate] = trained_positions(model, inputs)[0, 0].tolist()
    assert apart == {4.0: [0, 1, 2, 3, 3, 3, 3, 4, 5], 0.5625: [0, 1, 2, 3, 9, 15, 21, 22, 23]} | {
        0.2: [0, 1, 2, 3, 23, 43, 63, 64, 65]
    }


@pytest.mark.parametrize("method", [None, LAYER])
@pytest.mark.parametrize(
    "options",
    [{}, {"num_beams": 2}, {"do_sample": True, "num_return_sequences": 2}, {"use_cache": False}],
    ids=["greedy", "beams", "samples", "no_cache"],
)
@pytest.mark.parametrize("family", FAMILIES)
def test_generation_goes_on_from_there(family: str, options: dict[str, Any], method: Any) -> None:
    if transformers.__version__.startswith("5.18."):
        pytest.skip("expands several pictures wrongly by itself")
    loaded = tiny_model(family, "sdpa")
    inputs = loaded.encode([FILM, mixed_prompt(), text_prompt()])
    copies = 2 if {"num_beams", "num_return_sequences"} & set(options) else 1
    with nullcontext() if method is None else attach(loaded.model, method), heard(loaded.model) as found:
        ask(loaded.model, inputs, **options)
    assert told_right(family, inputs, found if options.get("use_cache", True) else found[-1:], copies)


@pytest.mark.parametrize("method", [NoReduction(), LAYER, ENTRANCE])
@pytest.mark.parametrize("family", FAMILIES)
def test_each_of_two_caches_goes_on_from_its_own_prompt(family: str, method: Any) -> None:
    """By hand, a step of each in turn: the model itself knows its last prompt alone."""
    talks = [Talk(family, [prompt]) for prompt in (FILM, OTHER)]
    found: list[list[Tensor]] = [[], []]
    with attach(talks[0].model, method, keys=["a"]):
        for i in (0, 1, 0, 1, 1, 0, 0):
            with heard(talks[0].model) as said:
                logits = talks[i].step()
            found[i] += said
            assert talks[i].told is not None
    assert talks[0].gap(logits) < GAP
    for talk, said in zip(talks, found, strict=True):
        later = torch.cat(said[1:], -1)[:, 0]
        assert torch.equal(later, of_oracle(family, talk.inputs, later.shape[1])[0][:, -later.shape[1] :])


@pytest.mark.parametrize("method", [LAYER, ENTRANCE])
@pytest.mark.parametrize("family", FAMILIES)
def test_later_turns_go_on_from_there(family: str, method: Any) -> None:
    """Turns of text go on by themselves; new pictures are numbered with the whole conversation."""
    loaded = tiny_model(family, "sdpa")
    told, inputs, answer, logits = joined(loaded, method, [FILM, text_prompt("and then ?"), text_prompt()], number=1)
    assert oracle_gap(loaded, inputs, answer, told, logits) < GAP
    told, inputs, answer, logits = joined(loaded, method, [FILM, image_prompt(), OTHER], number=3)
    assert min(turn.shares[2] for turn in told) < 0.5
    assert oracle_gap(loaded, inputs, answer, told, logits) < GAP


@pytest.mark.parametrize("family", FAMILIES)
def test_the_plain_model_takes_later_turns_with_their_positions(family: str) -> None:
    loaded = tiny_model(family, "sdpa")
    first = loaded.encode([FILM])
    out = ask(loaded.model, first)
    more = loaded.family.encode(loaded.processor, [text_prompt("why ?")])["input_ids"]
    whole = dict(first) | {"input_ids": torch.cat([out.sequences, more], 1)}
    whole |= {"attention_mask": torch.ones_like(whole["input_ids"])}
    kinds = whole.pop("mm_token_type_ids")
    turn = {"input_ids": whole["input_ids"], "attention_mask": whole["attention_mask"]}
    turn |= {"mm_token_type_ids": torch.zeros_like(whole["input_ids"]), CACHE: cache_of(out)}
    with heard(loaded.model) as found:
        ask(loaded.model, turn | {"position_ids": trained_positions(loaded.model, whole)})
    said = torch.cat(found, -1)[:, 0]
    behind = of_oracle(family, dict(first) | {"mm_token_type_ids": kinds}, said.shape[1] + out.sequences.shape[1])[0]
    held = out.sequences.shape[1] - 1
    assert torch.equal(said, behind[:, held : held + said.shape[1]])


@pytest.mark.parametrize("family", FAMILIES)
def test_attach_warns_once_where_transformers_numbers_otherwise(family: str) -> None:
    loaded = tiny_model(family, "sdpa")
    model: Any = loaded.model
    plain = [loaded.family.encode(loaded.processor, [prompt]) for prompt in (image_prompt(), FILM, OTHER)]
    with warnings.catch_warnings(record=True) as said, torch.no_grad():
        warnings.simplefilter("always")
        with attach(model, LAYER):
            ask(model, plain[0])
            ask(model, loaded.encode([FILM]))
        assert not said
        for call in (ask, lambda model, inputs: model(**inputs)):
            with attach(model, LAYER):
                for inputs in plain:
                    call(model, inputs)
            told = ["transformers numbers this prompt otherwise" in str(one.message) for one in said]
            assert told == ([True] if family in WRONG else [])
            said.clear()


def test_what_nobody_told_the_kinds_of_tokens_is_told_too() -> None:
    """Without ``mm_token_type_ids`` Qwen2.5-VL counts pictures as text; the others refuse."""
    loaded = tiny_model("qwen2_5_vl", "sdpa")
    inputs = dict(loaded.family.encode(loaded.processor, [image_prompt()]))
    inputs.pop("mm_token_type_ids")
    with attach(loaded.model, LAYER), torch.no_grad(), pytest.warns(UserWarning, match="trained_positions"):
        loaded.model(**inputs)


def test_other_models_need_none() -> None:
    loaded = tiny_model("llava", "sdpa")
    inputs = loaded.encode([image_prompt()])
    assert "position_ids" not in inputs
    with pytest.raises(UnsupportedError, match="llava counts its tokens one by one"):
        trained_positions(loaded.model, inputs)


def test_whoever_numbers_is_chosen_when_the_model_is_loaded() -> None:
    arch = {"llm": "qwen2", "layers": 2, "heads": 4, "kv_heads": 2, "tied": False, "vision": {}}

    def made(family: str, positions: str | None) -> Any:
        return load(ModelSpec(family, "", "random", "tiny", arch=arch, device="cpu", positions=positions))

    film = Prompt("?", [np.asarray(picture(1, 4))])
    assert [made("qwen2_vl", who).positions for who in (None, "library")] == ["trained", "library"]
    assert "position_ids" not in made("qwen2_vl", "library").encode([film])
    with pytest.raises(WinnowError, match=r"model\.positions=mine is not known: choose trained \| library"):
        made("qwen2_vl", "mine")
    with pytest.raises(WinnowError, match=r"model\.positions=trained has no meaning for llava"):
        made("llava", "trained")

"""Qwen3.5: most layers carry a state in place of attention, and what is dropped must be gone from it."""

import warnings
from copy import copy
from typing import Any

import pytest
import torch
from calling import ask
from sweeping import answer
from transformers import DynamicCache

from winnow.harness.config.overrides import cell_from
from winnow.harness.plan.build import build_method
from winnow.models.check import INVARIANTS, Case
from winnow.models.check.cases import batches, image_prompt, text_prompt, tiny_model, video_prompt
from winnow.models.check.replay import replay_logits
from winnow.models.engine import attach
from winnow.models.families import find_family
from winnow.models.families.conversation import next_turn
from winnow.models.families.hybrid import attentive, fitted, unread
from winnow.models.families.support import impossible
from winnow.models.transformers_api import CACHE, cache_of
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.aim_prune import AIMPrune
from winnow.reducers.compose import Compose
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.schedule import Cuts, First, K, Rounds, Window
from winnow.reducers.fastv import FastV
from winnow.reducers.pdrop import PDrop
from winnow.reducers.random import RandomDrop
from winnow.reducers.tome import ToMe
from winnow.reducers.v2drop import V2Drop
from winnow.reducers.vas import VAS

DEPTH = 9
"""Two layers with attention, 3 and 7, and one behind them."""
FEW = ("oracle", "batch_is_singles", "cache_is_trace_is_plan")


@pytest.mark.parametrize(
    "reducer",
    [
        pytest.param(RandomDrop(ratio=0.3, schedule=Cuts((2, 6))), id="cuts"),
        pytest.param(PDrop(ratios=(0.6, 0.2), positions="keep", schedule=Cuts((2, 8))), id="pdrop"),
        pytest.param(RandomDrop(ratio=0.3, schedule=K(1)), id="first", marks=pytest.mark.full),
        pytest.param(FastV(ratio=0.25, schedule=K(8)), id="fastv", marks=pytest.mark.full),
        pytest.param(AIMMerge(ratio=0.25, positions="keep"), id="merged", marks=pytest.mark.full),
    ],
)
def test_invariants_where_attention_stands_between_states(reducer: Reducer) -> None:
    """Ragged, in one batch: cuts before, at and behind layers of each kind."""
    case = Case(tiny_model("qwen3_5", "sdpa", DEPTH), reducer, batches("qwen3_5")["padded"])
    for invariant in FEW:
        INVARIANTS[invariant](case)


def test_a_masked_token_is_not_a_dropped_one() -> None:
    """Hidden by the mask it still lets the state decay and stands in the convolution; padding in front is harmless."""
    llm: Any = tiny_model("qwen3_5", "sdpa").model.model.language_model
    torch.manual_seed(0)
    embeds, places = torch.randn(1, 12, 64), torch.arange(12)[None]
    gone = torch.tensor([3, 4, 7])
    left = [place for place in range(12) if place not in gone]

    def last(kept: list[int], mask: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            out = llm(inputs_embeds=embeds[:, kept], position_ids=places[:, kept], attention_mask=mask)
        state: torch.Tensor = out.last_hidden_state[0, -1]
        return state

    hidden, removed = torch.ones(1, 12).long(), torch.ones(1, 9).long()
    hidden[0, gone] = 0
    assert (last(list(range(12)), hidden) - last(left, removed)).abs().max() > 0.1
    front = torch.cat([torch.zeros(1, 3).long(), removed], 1)
    assert (last([0, 0, 0, *left], front) - last(left, removed)).abs().max() < 1e-5


@pytest.mark.parametrize("k", range(1, 32))
def test_a_schedule_moves_to_the_nearest_layer_behind_attention(k: int) -> None:
    moved = fitted(FastV(ratio=0.5, schedule=K(k)), 32, 4)
    found: Any = moved.schedule  # type: ignore[attr-defined]
    assert found.k - 1 in attentive(32, 4)
    assert abs(found.k - k) == min(abs(layer + 1 - k) for layer in attentive(32, 4)[:-1])
    assert found.k >= k or k - found.k == 1 or k > 28  # of two as near the later


def test_where_schedules_move() -> None:
    assert attentive(32, 4) == [3, 7, 11, 15, 19, 23, 27, 31]
    moved: Any = fitted(PDrop(), 32, 4)  # which looks ahead at the layer that it cuts before
    assert moved.schedule.cuts == (7, 15, 23)
    parts: Any = fitted(Compose(RandomDrop(ratio=0.5), FastV(ratio=0.5)), 32, 4)
    assert parts.llm.schedule == K(4) and parts.entrance == RandomDrop(ratio=0.5)
    moves_tokens = V2Drop(ratio=0.3, schedule=Cuts((3, 9)))
    for stays in (RandomDrop(schedule=K(2)), moves_tokens, FastV(schedule=K(8)), AIMMerge()):
        assert fitted(stays, 32, 4) is stays and not unread(stays, 32, 4)
    assert fitted(FastV(), 32, 1) == FastV()


@pytest.mark.parametrize(
    "reducer", [AIMPrune(schedule=Window(14, 22)), VAS(schedule=Rounds(8, 24, 4)), ToMe(schedule=First(4))]
)
def test_methods_that_read_every_layer_are_refused(reducer: Reducer) -> None:
    why = impossible(find_family("qwen3_5"), reducer, 32)
    assert why.startswith("reads the attention of layers [") and why.endswith("have")
    assert not impossible(find_family("qwen3_vl"), reducer, 32) or "M-RoPE" in impossible(
        find_family("qwen3_vl"), reducer, 32
    )


def test_cuts_that_only_one_layer_could_serve_are_refused() -> None:
    loaded = tiny_model("qwen3_5", "sdpa")
    two = PDrop(ratios=(0.6, 0.2), positions="keep", schedule=Cuts((2, 4)))
    with pytest.raises(UnsupportedError, match=r"reads the attention of layers .*: of 6 layers \[3\] have"):
        answer(loaded, two, [image_prompt()])


def test_a_moved_schedule_is_told() -> None:
    loaded = tiny_model("qwen3_5", "sdpa")
    with pytest.warns(UserWarning, match=r"fastv acts at k=4 in place of k=2: layers \[3\] have attention"):
        told = answer(loaded, FastV(ratio=0.25), [video_prompt()])[1].prompts[0].visual_per_layer
    assert told == [80] * 4 + [20] * 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        answer(loaded, FastV(ratio=0.25, schedule=K(4)), [video_prompt()])


def test_a_run_moves_its_schedule_and_says_so() -> None:
    built = build_method(cell_from(["model=qwen3_5_4b", "reducer=fastv", "ratio=0.25"]))
    assert (built.knobs["schedule"], built.moved) == ("k=4", "k=2")
    there = build_method(cell_from(["model=qwen3_5_4b", "reducer=fastv", "ratio=0.25", "schedule.k=8"]))
    assert (there.knobs["schedule"], there.moved) == ("k=8", "")


@pytest.mark.parametrize("reducer", [RandomDrop(ratio=0.3), RandomDrop(ratio=0.3, schedule=K(2))])
def test_a_later_turn_goes_on_with_the_state(reducer: Reducer) -> None:
    """The whole conversation, from which the first turn's tokens are removed, says the same."""
    loaded: Any = tiny_model("qwen3_5", "sdpa", DEPTH)
    model, inputs = loaded.model, dict(loaded.encode([video_prompt()]))
    later = loaded.encode([text_prompt("and then ?")])["input_ids"]
    with torch.no_grad(), attach(model, reducer, keys=["a"]) as trace:
        first = ask(model, inputs)
        (told,), asked = list(trace.prompts), torch.cat([first.sequences, later], 1)
        second = ask(model, {"input_ids": asked, CACHE: cache_of(first)})
    behind = second.sequences[0, told.layout.length :]
    parts = loaded.family.parts(model)
    expected = replay_logits(model, parts, loaded.encode([video_prompt()]), behind, told)
    assert (torch.stack(second.logits, 1)[0] - expected[-4:]).abs().max() < 2e-4
    assert min(told.shares) < 0.5


def test_it_is_asked_to_answer_without_a_thought() -> None:
    loaded: Any = tiny_model("qwen3_5", "sdpa")
    processor = copy(loaded.processor)
    processor.chat_template += "{% if enable_thinking is not defined or enable_thinking %}<think>{% endif %}"
    ids = loaded.family.encode(processor, [text_prompt()])["input_ids"]
    assert torch.equal(ids, loaded.encode([text_prompt()])["input_ids"])
    later = next_turn(processor, "and ?", **loaded.family.told)
    assert later == next_turn(loaded.processor, "and ?") and len(later) < len(next_turn(processor, "and ?"))


def test_padding_behind_a_state_is_refused() -> None:
    loaded: Any = tiny_model("qwen3_5", "sdpa")
    inputs = loaded.encode([text_prompt(), text_prompt("say it .")])
    with torch.no_grad(), attach(loaded.model, RandomDrop(ratio=0.5)):
        first = loaded.model(**inputs, use_cache=True)
        later = loaded.encode([text_prompt("and ?"), text_prompt("and then ?")])
        mask = torch.cat([inputs["attention_mask"], later["attention_mask"]], 1)
        with pytest.raises(UnsupportedError, match="lets the state of linear attention decay"):
            loaded.model(input_ids=later["input_ids"], attention_mask=mask, **{CACHE: cache_of(first)})


def test_caches_and_drafts_that_hold_no_state_are_refused() -> None:
    loaded: Any = tiny_model("qwen3_5", "sdpa")
    inputs = dict(loaded.encode([image_prompt()]))
    with attach(loaded.model, RandomDrop(ratio=0.5)):
        with pytest.raises(UnsupportedError, match="no room for the states of linear attention"):
            loaded.model(**inputs, **{CACHE: DynamicCache()})
        ask(loaded.model, inputs | {CACHE: DynamicCache(config=loaded.model.config)})
        for drafts in ({"prompt_lookup_num_tokens": 2}, {"assistant_model": tiny_model("llava", "sdpa").model}):
            with pytest.raises(UnsupportedError, match="carries a state, which cannot forget rejected drafts"):
                ask(loaded.model, inputs, **drafts)

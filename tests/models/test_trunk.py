"""Methods that share the layers they have in common answer as each does by itself, bit by bit."""

from functools import partial
from typing import Any

import pytest
import torch
from sweeping import DEPTH, SWEEP, answer, matrix, single_runs

from winnow.models.check.cases import BATCHES, tiny_model
from winnow.models.engine import Trace, Trunk, attach
from winnow.models.engine.signals import Signals
from winnow.models.transformers_api import cache_of, tensors_of
from winnow.reducers import cdpruner, divprune
from winnow.reducers.aim import AIM
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.cdpruner import CDPruner
from winnow.reducers.core.schedule import Cuts, First, K, Rounds, Window
from winnow.reducers.divprune import DivPrune
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.pact import PACT
from winnow.reducers.pdrop import PDrop
from winnow.reducers.random import RandomDrop
from winnow.reducers.tome import ToMe
from winnow.reducers.vas import VAS


def assert_same(alone: tuple[Any, Trace], shared: tuple[Any, Trace]) -> None:
    (one, told), (other, retold) = alone, shared
    assert torch.equal(one.sequences, other.sequences)
    assert all(map(torch.equal, one.logits, other.logits))
    for layer, again in zip(cache_of(one).layers, cache_of(other).layers, strict=True):
        assert all(map(torch.equal, tensors_of(layer), tensors_of(again)))
    for prompt, again in zip(told.prompts, retold.prompts, strict=True):
        assert prompt.tokens_per_layer == again.tokens_per_layer
        assert torch.equal(prompt.last_layer, again.last_layer)
        assert torch.equal(prompt.anchor, again.anchor)
        assert [step.site for step in prompt.steps] == [step.site for step in again.steps]


@pytest.mark.parametrize(("family", "attn", "batch", "names"), matrix())
def test_a_sweep_answers_as_its_single_runs(family: str, attn: str, batch: str, names: tuple[str, ...]) -> None:
    loaded = tiny_model(family, attn, DEPTH)
    alone = single_runs(loaded, names, BATCHES[batch])
    least = 3 if family.startswith(("gemma", "molmo")) else 5  # which refuse ranking by all rows, or layers to share
    assert len(alone) >= min(len(names), least)
    trunk = Trunk([SWEEP[name] for name in alone])
    for name, expected in alone.items():
        assert_same(expected, answer(loaded, SWEEP[name], BATCHES[batch], trunk))
    assert len(trunk.ran) + len(trunk.spared) == DEPTH * len(alone)
    assert len(trunk.spared) >= least
    assert not list(trunk.root.below())  # nothing is remembered for nobody


def test_each_layer_of_the_trunk_runs_once() -> None:
    loaded, prompts = tiny_model("llava", "sdpa", DEPTH), BATCHES["video"]
    cells = [NoReduction(), *(FastV(ratio=ratio, schedule=K(k)) for k in (2, 4) for ratio in (0.5, 0.25))]
    trunk = Trunk(cells)
    for cell in cells:
        answer(loaded, cell, prompts, trunk)
    full = max(trunk.ran)
    assert trunk.ran.count(full) == DEPTH  # the unreduced layers, once each
    assert len(trunk.ran) == DEPTH + 2 * 4 + 2 * 2
    assert trunk.spared == [full] * (2 * 2 + 2 * 4)


@pytest.mark.parametrize("k", [3, 4])
def test_whoever_comes_unexpected_is_answered_all_the_same(k: int) -> None:
    """Layers that were not remembered, or without the statistics that are asked for, run again."""
    loaded, prompts = tiny_model("llava", "sdpa", DEPTH), BATCHES["padded"]
    known, stranger = [NoReduction(), FastV(schedule=K(k))], FastV(ratio=0.25, rows="text", schedule=K(3))
    expected = answer(loaded, stranger, prompts)
    trunk = Trunk(known)
    answer(loaded, known[0], prompts, trunk)
    assert_same(expected, answer(loaded, stranger, prompts, trunk))
    assert_same(answer(loaded, known[1], prompts), answer(loaded, known[1], prompts, trunk))


def test_a_layer_inside_of_which_a_method_acts_is_its_own() -> None:
    """It is neither taken from others nor left to them."""
    loaded, prompts = tiny_model("llava", "sdpa", DEPTH), BATCHES["padded"]
    cells = [NoReduction(), ToMe(ratio=0.4, schedule=First(1)), *(FastV(schedule=K(k)) for k in (1, 2))]
    expected, trunk = [answer(loaded, cell, prompts) for cell in cells], Trunk(cells)
    for cell, alone in zip(cells, expected, strict=True):
        assert_same(alone, answer(loaded, cell, prompts, trunk))
    assert len(trunk.spared) == 1 + 2


def test_another_batch_shares_nothing() -> None:
    loaded = tiny_model("llava", "sdpa", DEPTH)
    cells = [FastV(ratio=0.5), FastV(ratio=0.25)]
    trunk = Trunk(cells)
    answer(loaded, cells[0], BATCHES["video"], trunk)
    expected = answer(loaded, cells[1], BATCHES["image"])
    assert_same(expected, answer(loaded, cells[1], BATCHES["image"], trunk))
    assert not trunk.spared


@pytest.mark.parametrize("more", [{"num_beams": 2}, {"output_hidden_states": True}], ids=["beams", "states"])
def test_other_ways_to_generate_stay_as_they_are(more: dict[str, Any]) -> None:
    loaded, prompts = tiny_model("llava", "sdpa", DEPTH), BATCHES["image"]
    cells = [NoReduction(), FastV(ratio=0.5)]
    trunk = Trunk(cells)
    once = partial(answer, loaded, prompts=prompts, **more)
    for cell in cells:
        assert_same(once(cell), once(cell, trunk=trunk))
    assert len(trunk.spared) == (2 if "num_beams" in more else 0)  # states between layers have to be computed


def test_ratios_share_one_ranking_and_parts_one_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, prompts = tiny_model("llava", "sdpa", DEPTH), BATCHES["padded"]
    asked: list[str] = []

    def counted(module: Any, name: str) -> None:
        original = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args: asked.append(name) or original(*args))

    counted(divprune, "max_min")
    counted(AIMMerge, "reduce")
    counted(cdpruner, "determinant")
    cells = [
        *(DivPrune(ratio=ratio) for ratio in (0.5, 0.25, 0.1)),
        *(AIM(ratio=0.25, schedule=Window(first, 5)) for first in (2, 3)),
        AIMMerge(ratio=0.25),
        *(CDPruner(ratio=ratio, split=False, parts="span") for ratio in (0.5, 0.25)),
        CDPruner(ratio=0.25, split=False, parts="span", weight=0.9),
    ]
    expected = [answer(loaded, cell, prompts) for cell in cells]
    asked.clear()
    trunk = Trunk(cells)
    for cell, alone in zip(cells, expected, strict=True):
        assert_same(alone, answer(loaded, cell, prompts, trunk))
    pictured = len(prompts) - 1
    assert [asked.count(name) for name in ("max_min", "reduce", "determinant")] == [pictured, pictured, 2 * pictured]


def test_what_two_methods_ask_of_a_layer_ahead_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, prompts, ahead = tiny_model("llava", "sdpa", DEPTH), BATCHES["image"], Signals.ahead
    cells = [PDrop(ratios=(ratio,), positions="keep", schedule=Cuts((2,))) for ratio in (0.5, 0.25)]
    expected = [answer(loaded, cell, prompts) for cell in cells]
    asked: list[int] = []
    monkeypatch.setattr(Signals, "ahead", lambda self, at, *more: asked.append(at) or ahead(self, at, *more))
    trunk = Trunk(cells)
    for cell, alone in zip(cells, expected, strict=True):
        assert_same(alone, answer(loaded, cell, prompts, trunk))
    assert asked == [2]


def test_methods_that_find_out_how_much_they_cut_share_what_follows_equal_cuts() -> None:
    """No plan tells what the layers behind such a cut see; whoever cuts alike comes by."""
    loaded, prompts = tiny_model("llava", "sdpa", DEPTH), BATCHES["image"]
    cells = [VAS(r=0.3, trigger=trigger, schedule=Rounds(start=3, end=4, interval=1)) for trigger in (0.01, 0.02)]
    expected, trunk = [answer(loaded, cell, prompts) for cell in cells], Trunk(cells)
    for cell, alone in zip(cells, expected, strict=True):
        assert_same(alone, answer(loaded, cell, prompts, trunk))
    whole, *_, cut = trunk.ran
    assert cut < whole and len(trunk.spared) == DEPTH


def test_tokens_that_count_by_their_sizes_share_layers_with_their_like_alone() -> None:
    """The same tokens in the same states: what attention adds to their keys tells the layers behind the cut apart."""
    loaded, prompts = tiny_model("llava", "sdpa", DEPTH), BATCHES["padded"]
    ways = [(True, 0.3), (False, 0.3), (True, 0.2), (False, 0.2)]  # the ratio is an estimate, and cuts nothing
    cells = [PACT(ratio=ratio, cutoff=0.6, weighed=weighed, schedule=K(2)) for weighed, ratio in ways]
    expected, trunk = [answer(loaded, cell, prompts) for cell in cells], Trunk(cells)
    (weighed, told), (plain, retold), *_ = expected
    for prompt, again in zip(told.prompts, retold.prompts, strict=True):
        assert torch.equal(prompt.last_layer, again.last_layer) and torch.equal(prompt.anchor, again.anchor)
    assert not torch.equal(weighed.logits[0], plain.logits[0])
    for cell, alone in zip(cells, expected, strict=True):
        assert_same(alone, answer(loaded, cell, prompts, trunk))
    assert len(trunk.ran) == 2 + 2 * (DEPTH - 2) and len(trunk.spared) == 2 * 3 + 2 * (DEPTH - 2)


def test_notes_are_those_of_equal_tokens_in_equal_states() -> None:
    trunk, index, embeds = Trunk([]), [torch.arange(4)], torch.randn(1, 4, 2)
    found = trunk.notes(index, embeds)
    assert trunk.notes([index[0].clone()], embeds.clone()) is found
    assert trunk.notes(index, embeds + 1) is not found
    assert trunk.notes([index[0] + 1], embeds) is not found


def test_draws_of_other_seeds_are_not_shared() -> None:
    loaded, prompts = tiny_model("llava", "sdpa", DEPTH), BATCHES["video"]
    cells, model = [RandomDrop(ratio=0.3), RandomDrop(ratio=0.3)], loaded.model
    trunk, inputs = Trunk(cells), loaded.family.encode(loaded.processor, list(prompts))
    kept = []
    for seed, cell in enumerate(cells):
        with torch.no_grad(), attach(model, cell, keys=[str(seed)], trunk=trunk) as trace:
            model(**inputs)
        kept.append(trace.prompts[0].steps[0].reduction.keep)
    assert not torch.equal(*kept)


def test_what_exceeds_the_budget_runs_again() -> None:
    loaded, prompts = tiny_model("llava", "sdpa", DEPTH), BATCHES["video"]
    cells = [NoReduction(), *(FastV(ratio=ratio, schedule=K(4)) for ratio in (0.5, 0.25))]
    free = Trunk(cells)
    expected = [answer(loaded, cell, prompts, free) for cell in cells]
    tight = Trunk(cells, budget=free.peak // 2)
    for cell, whole in zip(cells, expected, strict=True):
        assert_same(whole, answer(loaded, cell, prompts, tight))
    assert 0 < tight.peak <= free.peak // 2
    assert len(tight.spared) < len(free.spared) == 2 * 4


def test_a_failure_within_leaves_the_others_their_trunk(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, prompts = tiny_model("llava", "sdpa", DEPTH), BATCHES["image"]
    cells = [NoReduction(), FastV(ratio=0.5, schedule=K(3)), FastV(ratio=0.25, schedule=K(3))]
    expected = answer(loaded, cells[2], prompts)
    trunk = Trunk(cells)
    answer(loaded, cells[0], prompts, trunk)
    with monkeypatch.context() as broken:
        broken.setattr(FastV, "score", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            answer(loaded, cells[1], prompts, trunk)
    assert_same(expected, answer(loaded, cells[2], prompts, trunk))
    assert not list(trunk.root.below())

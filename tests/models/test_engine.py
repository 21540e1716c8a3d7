"""What the engine refuses, and the corners where hooks go silently wrong."""

import dataclasses
import warnings
from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import DynamicCache, StaticCache

from winnow.models.check.cases import image_prompt, text_prompt, tiny_model, video_prompt
from winnow.models.check.oracle import oracle_logits
from winnow.models.engine import attach, reuse_tower
from winnow.models.families import FAMILIES as EVERY
from winnow.models.families.support import impossible
from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.blind import Blind
from winnow.reducers.core.base import Reducer, Scorer
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.probes import Probe, Rows
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower
from winnow.reducers.fastv import FastV
from winnow.reducers.random import RandomDrop

FAMILIES = ["llava", "llava_onevision", "qwen2_vl", "pllava", "vila", "longva", "llava_video"]
NEW = ["gemma4", "minicpmv4_6"]
OTHERS = [name for name in EVERY if name not in (*FAMILIES, *NEW)]


def encoded(family: str, *prompts: Any, attn: str = "sdpa") -> tuple[Any, dict[str, Any], Any]:
    loaded = tiny_model(family, attn)
    return loaded.model, loaded.family.encode(loaded.processor, list(prompts or [video_prompt()])), loaded


def greedy(model: Any, inputs: Any, **options: Any) -> Any:
    defaults = {"do_sample": False, "max_new_tokens": 4, "min_new_tokens": 4, "pad_token_id": 0}
    return model.generate(**inputs, **(defaults | options), output_logits=True, return_dict_in_generate=True)


@dataclasses.dataclass(frozen=True)
class Peek(Reducer):
    """Keeps everything and shows what it was given."""

    which: str = "last"

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        return (Site.layer(depth - 1, depth),)

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        return tuple((Rows(self.which), layer) for layer in range(depth - 1))

    def reduce(self, view: View) -> None:
        SEEN.append(view)


SEEN: list[View] = []


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("which", ["last", "text", "all"])
def test_probes_equal_eager_attention(family: str, attn: str, which: str) -> None:
    prompts = [video_prompt(), image_prompt()]
    eager, inputs, _ = encoded(family, *prompts, attn="eager")
    with torch.no_grad():
        weights = eager(**inputs, output_attentions=True).attentions
    SEEN.clear()
    model, inputs, _ = encoded(family, *prompts, attn=attn)
    with torch.no_grad(), attach(model, Peek(which)):
        model(**inputs)
    for b, view in enumerate(SEEN):
        pad = inputs["input_ids"].shape[1] - view.layout.length
        for layer in range(view.depth - 1):
            mean = weights[layer][b, :, pad:, pad:].mean(0)
            rows = {"last": mean[-1], "text": mean[view.layout.question].sum(0), "all": mean.mean(0)}
            assert (view.signals[Rows(which), layer] - rows[which]).abs().max() < 1e-5
    assert len(SEEN) == 2


@pytest.mark.parametrize(
    "reducer", [FastV(ratio=0.3), RandomDrop(ratio=0.3), RandomDrop(ratio=0.3, positions="compact")]
)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_manual_decode_loop_equals_generate(family: str, reducer: Reducer) -> None:
    model, inputs, loaded = encoded(family)
    if impossible(loaded.family, reducer, 6):
        pytest.skip("compact positions under M-RoPE are refused")
    with torch.no_grad(), attach(model, reducer, keys=["a"]):
        out = greedy(model, inputs)
    with torch.no_grad(), attach(model, reducer, keys=["a"]):
        step = model(**inputs, use_cache=True)
        for i in range(3):
            assert (step.logits[:, -1] - out.logits[i]).abs().max() < 1e-4
            token = out.sequences[:, i - 4, None]  # as `generate` chose it, which holds an early end back
            step = model(input_ids=token, past_key_values=step.past_key_values, use_cache=True)
        assert (step.logits[:, -1] - out.logits[3]).abs().max() < 1e-4


@pytest.mark.parametrize("family", [*FAMILIES, *NEW, *(pytest.param(name, marks=pytest.mark.full) for name in OTHERS)])
def test_scoring_without_a_cache(family: str) -> None:
    """Gapped positions without a mask would be read as packed sequences."""
    model, inputs, _ = encoded(family)
    with torch.no_grad(), attach(model, RandomDrop(ratio=0.3), keys=["a"]):
        cached = model(**inputs, use_cache=True).logits
        plain = model(**{k: v for k, v in inputs.items() if k != "attention_mask"}, use_cache=False).logits
    assert (cached - plain).abs().max() < 1e-4


def test_generation_without_a_cache() -> None:
    model, inputs, _ = encoded("llava")
    with torch.no_grad(), attach(model, RandomDrop(ratio=0.3), keys=["a"]):
        with_cache, without = greedy(model, inputs), greedy(model, inputs, use_cache=False)
    assert torch.equal(with_cache.sequences, without.sequences)
    with torch.no_grad(), attach(model, FastV(ratio=0.3)):
        with_cache, without = greedy(model, inputs), greedy(model, inputs, use_cache=False)
    assert (torch.stack(with_cache.logits) - torch.stack(without.logits)).abs().max() < 2e-4


def test_second_turn_on_the_cache() -> None:
    model, inputs, loaded = encoded("llava")
    parts = loaded.family.parts(model)
    more = torch.tensor([[20, 21, 22]])
    with torch.no_grad(), attach(model, FastV(ratio=0.3)) as trace:
        first = greedy(model, inputs)
        ids = torch.cat([first.sequences, more], 1)
        second = greedy(model, {"input_ids": ids, "past_key_values": first.past_key_values})
    answer = second.sequences[0, inputs["input_ids"].shape[1] :]
    expected = oracle_logits(model, parts, inputs, answer, trace.turns[0][0])[-4:]
    assert (torch.stack(second.logits, 1)[0] - expected).abs().max() < 2e-4


def test_a_foreign_cache_is_refused() -> None:
    model, inputs, _ = encoded("llava")
    with torch.no_grad():
        first = greedy(model, inputs)
        ids = torch.cat([first.sequences, torch.tensor([[20]])], 1)
        with attach(model, FastV()), pytest.raises(UnsupportedError, match=r"outside of this attach"):
            greedy(model, {"input_ids": ids, "past_key_values": first.past_key_values})


def check_refused(match: str, family: str = "llava", reducer: Reducer | None = None, **call: Any) -> None:
    model, inputs, _ = encoded(family, video_prompt(), text_prompt())
    with torch.no_grad(), attach(model, reducer or FastV()), pytest.raises(UnsupportedError, match=match):
        model(**(dict(inputs) | call))


def test_labels_are_refused() -> None:
    check_refused("labels cannot be matched", labels=torch.zeros(2, 5, dtype=torch.long))


def test_embeddings_without_ids_are_refused() -> None:
    check_refused("pass input_ids", input_ids=None, pixel_values=None, inputs_embeds=torch.zeros(2, 5, 64))


def test_right_padding_is_refused() -> None:
    _, inputs, _ = encoded("llava", video_prompt(), text_prompt())
    check_refused("padded on the left", attention_mask=inputs["attention_mask"].flip(1))


def test_other_masks_are_refused() -> None:
    check_refused("4-D, additive and dict masks", attention_mask=torch.ones(2, 1, 5, 5))


def test_other_caches_are_refused() -> None:
    model, _, _ = encoded("llava")
    check_refused("StaticCache cannot hold", past_key_values=StaticCache(model.config.text_config, max_cache_len=400))


def test_double_attach_is_refused_and_forgotten() -> None:
    model, inputs, _ = encoded("llava")
    with attach(model, FastV()):
        with pytest.raises(UnsupportedError, match="attached to this model already"), attach(model, FastV()):
            pass
        greedy(model, inputs)
    with attach(model, Blind()):
        greedy(model, inputs)


def test_other_models_are_refused() -> None:
    with (
        pytest.raises(UnsupportedError, match="'Linear' are not supported: choose one of "),
        attach(torch.nn.Linear(1, 1), FastV()),
    ):
        pass


def test_a_schedule_beyond_the_depth_is_refused_at_once() -> None:
    model, _, _ = encoded("llava")
    with (
        pytest.raises(WinnowError, match=r"schedule.k=7 lies beyond the LLM's 6 layers"),
        attach(model, FastV(schedule=K(7))),
    ):
        pass


@dataclasses.dataclass(frozen=True)
class Wrong(Scorer):
    """A third party's faulty method."""

    fault: str = "text"

    def score(self, view: View) -> Tensor:
        return view.visual

    def reduce(self, view: View) -> Reduction:
        keep = {"text": torch.tensor([0]), "order": view.visual[:4].flip(0), "weights": view.visual[:4]}[self.fault]
        return Reduction(keep, weights=torch.ones(1, 1).to_sparse() if self.fault == "weights" else None)


@pytest.mark.parametrize(
    ("fault", "message"), [("text", "not visual tokens"), ("order", "not strictly ascending"), ("weights", "shape")]
)
def test_faulty_methods_are_named(fault: str, message: str) -> None:
    model, inputs, _ = encoded("llava")
    with torch.no_grad(), attach(model, Wrong(fault=fault)), pytest.raises(WinnowError, match=message):
        model(**inputs)


@dataclasses.dataclass(frozen=True)
class PairMean(Reducer):
    """Merges neighbours at the entrance."""

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        return (Site.entrance(depth),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        return -(-grid.tokens // 2)

    def reduce(self, view: View) -> Reduction:
        n = len(view.visual)
        weights = torch.zeros(-(-n // 2), n)
        for i in range(n):
            weights[i // 2, i] = 0.5 if n - n % 2 > i else 1.0
        return Reduction(view.visual[::2], weights.to_sparse())


@pytest.mark.parametrize("family", FAMILIES)
def test_entrance_merge_equals_the_plain_llm_on_merged_embeddings(family: str) -> None:
    model, inputs, loaded = encoded(family)
    parts: Any = loaded.family.parts(model)
    caught: list[dict[str, Any]] = []
    with torch.no_grad():
        handle = parts.llm.register_forward_pre_hook(lambda m, a, k: caught.append(k), with_kwargs=True)
        model(**inputs)
        handle.remove()
        with attach(model, PairMean()) as trace:
            reduced = model(**inputs).logits
        layout = trace.prompts[0].layout
        plain = caught[0]["inputs_embeds"][0]
        rows = [row if not layout.is_visual[i] else None for i, row in enumerate(plain)]
        for i in range(0, len(layout.visual), 2):
            pair = layout.visual[i : i + 2]
            rows[int(pair[0])] = plain[pair].mean(0)
        kept = [i for i, row in enumerate(rows) if row is not None]
        embeds = torch.stack([rows[i] for i in kept])[None]
        numbered = caught[0].get("position_ids")
        positions = torch.arange(layout.length)[None] if numbered is None else numbered
        hidden = parts.llm(
            inputs_embeds=embeds, position_ids=positions[..., kept], attention_mask=torch.ones(1, len(kept))
        )
        expected = model.lm_head(hidden.last_hidden_state)
    assert (reduced - expected).abs().max() < 1e-4
    assert trace.prompts[0].anchor.tolist() == [i - i % 2 for i in range(len(layout.visual))]


def test_tower_runs_once_for_the_same_pixels() -> None:
    model, inputs, loaded = encoded("llava_onevision")
    tower: Any = loaded.family.parts(model).tower
    runs: list[int] = []
    forward = type(tower).forward
    handle = (
        tower.vision_model.register_forward_hook(lambda *_: runs.append(1))
        if hasattr(tower, "vision_model")
        else (tower.encoder.register_forward_hook(lambda *_: runs.append(1)))
    )
    plain = greedy(model, inputs)
    runs.clear()
    with reuse_tower(model):
        for reducer in (FastV(), Blind(), FastV(ratio=1.0)):
            with attach(model, reducer):
                out = greedy(model, inputs)
        assert len(runs) == 1
        greedy(model, dict(inputs) | {"pixel_values_videos": inputs["pixel_values_videos"] + 1})
        assert len(runs) == 2
    handle.remove()
    assert torch.equal(torch.stack(out.logits), torch.stack(plain.logits))
    assert "forward" not in vars(tower)
    assert type(tower).forward is forward


@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_a_reused_tower_answers_alike_where_the_model_writes_into_its_output(family: str) -> None:
    model, inputs, loaded = encoded(family)
    plain = greedy(model, inputs)
    runs: list[int] = []
    handle = loaded.family.parts(model).blocks[0].register_forward_hook(lambda *_: runs.append(1))
    with reuse_tower(model):
        for copies in (inputs, {key: value.clone() for key, value in inputs.items()}, inputs):
            with attach(model, FastV(ratio=1.0)):
                out = greedy(model, copies)
            assert torch.equal(torch.stack(out.logits), torch.stack(plain.logits))
    handle.remove()
    assert len(runs) == 1


def test_a_method_in_the_tower_computes_anew_within_any_reuse() -> None:
    model, inputs, _ = encoded("llava")
    with attach(model, AIMMerge(metric="keys")):
        alone = greedy(model, inputs)
    with reuse_tower(model), reuse_tower(model):
        greedy(model, inputs)
        with attach(model, AIMMerge(metric="keys")) as trace:
            out = greedy(model, inputs)
    assert trace.prompts[0].shares[0] < 1
    assert torch.equal(torch.stack(out.logits), torch.stack(alone.logits))


def test_number_of_keys_must_fit() -> None:
    model, inputs, _ = encoded("llava")
    with (
        torch.no_grad(),
        attach(model, FastV(), keys=["a", "b"]),
        pytest.raises(WinnowError, match="2 keys were given"),
    ):
        model(**inputs)


def test_cache_can_be_passed_in() -> None:
    model, inputs, _ = encoded("llava")
    with torch.no_grad(), attach(model, FastV()) as trace:
        out = model(**inputs, past_key_values=DynamicCache(config=model.config), use_cache=True)
    assert [layer.keys.shape[2] for layer in out.past_key_values.layers] == trace.prompts[0].tokens_per_layer


def test_a_method_is_attached_by_its_name() -> None:
    model, inputs, _ = encoded("llava")
    with torch.no_grad(), attach(model, FastV(ratio=0.25)):
        expected = model(**inputs).logits
    with torch.no_grad(), attach(model, "fastv", ratio=0.25) as trace:
        assert torch.equal(model(**inputs).logits, expected)
    assert trace.prompts[0].shares[2] == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("method", "parameters", "message"),
    [
        ("fastvv", {}, r"unknown method 'fastvv': did you mean fastv\?"),
        ("fastv", {"ratios": 0.5}, r"no parameter 'ratios': did you mean ratio\?"),
        ("fastv", {"ratio": "0.5"}, "fastv: ratio=0.5 is not allowed: choose a value of type float"),
        (FastV, {}, r"is no method: give one, as in FastV\(ratio=0\.5\), or its name, 'fastv'"),
        (None, {}, "None is no method"),
        (FastV(), {"ratio": 0.5}, "ratio: parameters go with a method's name"),
    ],
)
def test_what_is_no_method_is_refused_in_one_line(method: Any, parameters: dict[str, Any], message: str) -> None:
    model, _, _ = encoded("llava")
    with pytest.raises(WinnowError, match=message) as caught, attach(model, method, **parameters):
        pass
    assert "\n" not in str(caught.value)


@dataclasses.dataclass(frozen=True)
class Elsewhere(Reducer):
    """Acts where the model has nothing."""

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        return (Site.layer(depth, depth),)


def test_sites_that_the_model_lacks_are_refused() -> None:
    model, _, _ = encoded("llava")
    with pytest.raises(WinnowError, match="acts at layer"), attach(model, Elsewhere()):
        pass


@dataclasses.dataclass(frozen=True)
class Renumbers(Reducer):
    """Answers compact positions, though it has no such field."""

    at: int = 0

    def sites(self, depth: int, tower: Any = None) -> tuple[Site, ...]:
        return (Site.layer(self.at, depth),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        return present // 2

    def reduce(self, view: View) -> Reduction:
        return Reduction(view.visual[: len(view.visual) // 2], positions="compact")


@pytest.mark.parametrize("at", [0, 1])
def test_compact_positions_under_mrope_are_refused_by_the_answer(at: int) -> None:
    check_refused("undefined under M-RoPE", "qwen2_vl", Renumbers(at))
    model, inputs, _ = encoded("llava")
    with torch.no_grad(), attach(model, Renumbers(at)) as trace:
        model(**inputs)
    assert trace.prompts[0].visual_per_layer[1] == trace.prompts[0].visual // 2


def test_a_method_that_acts_nowhere_says_so() -> None:
    """VAS' own rounds begin behind the last layer of a shallow model; what follows is the unreduced model."""
    model = encoded("llava")[0]
    said = "vas acts at none of the 6 layers of this model, so nothing is reduced"
    with pytest.warns(UserWarning, match=said), attach(model, "vas", ratio=0.25):
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for name in ("none", "fastv", "prumerge"):
            with attach(model, name):
                pass

"""Ways of calling an attached model that were once silently wrong: each against the mask-out oracle, or refused."""

import threading
from contextlib import ExitStack
from copy import deepcopy
from typing import Any

import pytest
import torch
from calling import Talk, ask, joined, oracle_gap, windowed
from torch import Tensor
from transformers import DynamicCache, GenerationConfig

from winnow.models.check.cases import image_prompt, mixed_prompt, text_prompt, tiny_model, video_prompt
from winnow.models.check.oracle import entrance, oracle_logits
from winnow.models.engine import attach
from winnow.models.transformers_api import ATTENTION_TABLE, LOOKUP, cache_of
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.schedule import Cuts, First, K
from winnow.reducers.fastv import FastV
from winnow.reducers.pdrop import PDrop
from winnow.reducers.random import RandomDrop
from winnow.reducers.tome import ToMe

ENTRANCE, LAYER = RandomDrop(ratio=0.3), FastV(ratio=0.3)
TWICE = PDrop(ratios=(0.6, 0.2), positions="keep", schedule=Cuts((1, 4)))
METHODS: dict[str, Reducer] = {"entrance": ENTRANCE, "layer": LAYER, "stages": TWICE}
methods = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
GAP = 2e-4


@methods
@pytest.mark.parametrize("family", ["llava", "llava_onevision", "qwen2_5_vl", "qwen3_vl"])
def test_interleaved_caches_are_exact(family: str, method: Reducer) -> None:
    first, second = (Talk(family, [prompt]) for prompt in (video_prompt(), image_prompt("red ?")))
    with attach(first.model, method, keys=["a"]):
        a = first.step()
        b = second.step()
        for _ in range(3):
            a, b = first.step(), second.step()
    assert first.gap(a) < GAP
    assert second.gap(b) < GAP


@pytest.mark.parametrize("before", [True, False])
def test_a_cache_from_outside_is_refused(before: bool) -> None:
    talk = Talk("llava", [image_prompt()])
    with torch.no_grad():
        if before:
            cache = cache_of(talk.model(**talk.inputs, use_cache=True))
        else:
            with attach(talk.model, LAYER):
                cache = cache_of(talk.model(**talk.inputs, use_cache=True))
        with attach(talk.model, LAYER):
            talk.model(**talk.inputs, use_cache=True)
            with pytest.raises(UnsupportedError, match="outside of this attach"):
                talk.model(input_ids=torch.tensor([[5]]), past_key_values=cache, use_cache=True)


@methods
def test_a_copied_cache_goes_on_by_itself(method: Reducer) -> None:
    talk = Talk("llava", [image_prompt()])
    with attach(talk.model, method, keys=["a"]):
        talk.step()
        other = deepcopy(talk)
        other.model = talk.model
        a = [talk.step() for _ in range(2)][-1]
        b = [other.step() for _ in range(2)][-1]
    assert torch.equal(a, b)
    assert talk.gap(a) < GAP


@methods
@pytest.mark.parametrize("drafts", [{"prompt_lookup_num_tokens": 3}, {"assistant": True}], ids=["lookup", "assistant"])
@pytest.mark.parametrize("family", ["llava", "qwen2_vl"])
def test_drafts_do_not_choose(family: str, drafts: dict[str, Any], method: Reducer) -> None:
    loaded = tiny_model(family, "sdpa")
    prompt = image_prompt("is it red ? is it red ? is it")
    inputs = loaded.family.encode(loaded.processor, [prompt])
    model: Any = loaded.model
    options = {"assistant_model": tiny_model(family, "eager").model} if drafts.get("assistant") else drafts
    with attach(model, method, keys=["a"]) as trace:
        plain = ask(model, inputs, steps=8)
        kept = trace.prompts[0].last_layer
        drafted = ask(model, inputs, steps=8, **options)
        assert torch.equal(kept, trace.prompts[0].last_layer)
        assert trace.prompts[0].layout.length == inputs["input_ids"].shape[1]
    assert torch.equal(plain.sequences, drafted.sequences)
    assert (torch.stack(plain.logits) - torch.stack(drafted.logits)).abs().max() < GAP


@methods
@pytest.mark.parametrize("family", ["llava", "llava_onevision"])
def test_three_turns_with_new_pictures(family: str, method: Reducer) -> None:
    loaded = tiny_model(family, "sdpa")
    prompts = [video_prompt(), text_prompt("and then ?"), image_prompt("is this it ?")]
    if family == "llava_onevision":
        prompts[2] = video_prompt(4, "is this it ?")
    told, inputs, answer, logits = joined(loaded, method, prompts)
    assert [trace.visual > 0 for trace in told] == [True, False, True]
    assert told[2].shares[2] < 0.5
    assert oracle_gap(loaded, inputs, answer, told, logits) < GAP


@methods
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen3_vl"])
def test_three_turns_where_pictures_are_numbered_in_three_dimensions(family: str, method: Reducer) -> None:
    loaded = tiny_model(family, "sdpa")
    prompts = [mixed_prompt(), text_prompt("and then ?"), text_prompt("why ?")]
    told, inputs, answer, logits = joined(loaded, method, prompts)
    assert len(told) == 3
    assert oracle_gap(loaded, inputs, answer, told, logits) < GAP
    with pytest.raises(UnsupportedError, match="does not number pictures behind a cached prompt"):
        joined(loaded, method, [text_prompt(), image_prompt()])


@pytest.mark.parametrize("at", [0, 2])
@pytest.mark.parametrize("family", ["llava", "llava_video"])
def test_turns_without_gaps_are_those_of_a_model_that_never_saw_what_is_gone(family: str, at: int) -> None:
    """Compact positions: from the layer on, the survivors of all turns are numbered one after the other."""
    loaded = tiny_model(family, "sdpa")
    method = RandomDrop(ratio=0.3, positions="compact", schedule=K(at) if at else None)
    prompts = [video_prompt(2), text_prompt("and then ?"), video_prompt(2, "is this it ?")]
    told, inputs, answer, logits = joined(loaded, method, prompts)
    parts = loaded.family.parts(loaded.model)
    llm: Any = parts.llm
    with torch.no_grad():
        hidden, places, *_ = entrance(loaded.model, parts, inputs, answer)
        stays = torch.ones(hidden.shape[1], dtype=torch.bool)
        for turn in told:
            stays[turn.layout.visual + turn.start] = turn.last_layer == len(parts.layers) - 1
        for number, layer in enumerate(parts.layers):
            if number == at:
                hidden, places = hidden[:, stays], torch.arange(int(stays.sum()))[None]
            mask = torch.ones(hidden.shape[1], hidden.shape[1], dtype=torch.bool).tril()[None, None]
            hidden = layer(hidden, attention_mask=mask, position_embeddings=llm.rotary_emb(hidden, places))
        head: Any = loaded.model
        expected = head.lm_head(llm.norm(hidden[0]))
    assert (expected[-len(answer) - 1 : -1] - logits).abs().max() < GAP


@methods
def test_a_cached_text_prefix_is_no_hindrance(method: Reducer) -> None:
    loaded = tiny_model("llava", "sdpa")
    told, inputs, answer, logits = joined(loaded, method, [text_prompt("look at this :"), image_prompt()])
    assert told[1].shares[2] < 0.5
    assert oracle_gap(loaded, inputs, answer, told, logits) < GAP


@methods
@pytest.mark.parametrize("given", ["named", "configured", "the model's"])
@pytest.mark.parametrize("family", ["llava_onevision", "qwen2_5_vl"])
def test_a_prompt_in_chunks_is_answered_as_in_one_piece(family: str, given: str, method: Reducer) -> None:
    talk = Talk(family, [image_prompt(), video_prompt()])
    chunks = GenerationConfig(prefill_chunk_size=5)
    options = {"named": {"prefill_chunk_size": 5}, "configured": {"generation_config": chunks}, "the model's": {}}
    before = talk.model.generation_config
    try:
        with attach(talk.model, method, keys=["a", "b"]) as trace:
            whole, told = ask(talk.model, talk.inputs, steps=3), trace.prompts
            if given == "the model's":
                talk.model.generation_config = chunks
            with pytest.warns(UserWarning, match="prefill_chunk_size=5: .* in one piece"):
                cut = ask(talk.model, talk.inputs, steps=3, **options[given])
    finally:
        talk.model.generation_config = before
    assert all(map(torch.equal, whole.logits, cut.logits))
    assert [prompt.visual_per_layer for prompt in trace.prompts] == [prompt.visual_per_layer for prompt in told]
    assert trace.prompts is not told


@pytest.mark.parametrize("method", [ENTRANCE, RandomDrop(ratio=0.3, positions="compact"), LAYER])
@pytest.mark.parametrize("batch", [1, 2])
def test_guidance_is_two_plain_calls(batch: int, method: Reducer) -> None:
    loaded = tiny_model("llava", "sdpa")
    model: Any = loaded.model
    inputs = loaded.family.encode(loaded.processor, [image_prompt(), video_prompt(2)][:batch])
    blank = {"input_ids": inputs["input_ids"][:, -1:], "attention_mask": torch.ones(batch, 1, dtype=torch.long)}
    with torch.no_grad(), attach(model, method, keys=list("ab"[:batch])) as trace:
        out = ask(model, inputs, guidance_scale=1.7, output_scores=True)
        assert [prompt.visual > 0 for prompt in trace.prompts] == [True] * batch
        answers = out.sequences[:, -4:]
        wanted = follow(model, inputs, answers)
        free = follow(model, blank, answers)
    for i in range(4):
        with_picture, without = wanted[:, i].log_softmax(-1), free[:, i].log_softmax(-1)
        expected = without + 1.7 * (with_picture - without)
        finite = out.scores[i].isfinite()
        assert (out.scores[i] - expected)[finite].abs().max() < 1e-3


def follow(model: Any, inputs: Any, answers: Tensor) -> Tensor:
    """Logits before each answer token, by hand."""
    places = (inputs["attention_mask"].cumsum(1) - 1).clamp(min=0)
    step = model(**inputs, position_ids=places, use_cache=True)
    logits, mask = [step.logits[:, -1]], inputs["attention_mask"]
    for i in range(answers.shape[1] - 1):
        mask = torch.cat([mask, torch.ones_like(mask[:, :1])], 1)
        places = mask.sum(1, keepdim=True) - 1
        step = model(
            input_ids=answers[:, i, None],
            attention_mask=mask,
            position_ids=places,
            past_key_values=cache_of(step),
            use_cache=True,
        )
        logits.append(step.logits[:, -1])
    return torch.stack(logits, 1)


@methods
@pytest.mark.parametrize("attn", ["sdpa", "eager"])
@pytest.mark.parametrize("llm", ["mistral", "phi3", "starcoder2", "qwen2", "gemma3_text"])
def test_sliding_windows_count_positions(llm: str, attn: str, method: Reducer) -> None:
    """Windows named by `sliding_window` alone, and alternating ones, exact though half of what lies in them is gone."""
    loaded = windowed(llm, attn, window=60)
    if llm not in ("qwen2", "gemma3_text") and method is not ENTRANCE:
        with pytest.raises(UnsupportedError, match="sliding window"), attach(loaded.model, method):
            ask(loaded.model, loaded.family.encode(loaded.processor, [video_prompt()]))
        method = RandomDrop(ratio=0.3, schedule=K(2))
    prompts = [video_prompt(), image_prompt()]
    inputs = loaded.family.encode(loaded.processor, prompts)
    with attach(loaded.model, method, keys=["a", "b"]) as trace:
        out = ask(loaded.model, inputs, steps=8)
    for b, prompt in enumerate(prompts):
        alone = loaded.family.encode(loaded.processor, [prompt])
        parts = loaded.family.parts(loaded.model)
        expected = oracle_logits(loaded.model, parts, alone, out.sequences[b, -8:], trace.prompts[b])
        assert (torch.stack(out.logits, 1)[b] - expected).abs().max() < GAP


@methods
@pytest.mark.parametrize("batch", [1, 2])
def test_logits_to_keep_names_places_in_the_whole_prompt(batch: int, method: Reducer) -> None:
    talk = Talk("llava", [video_prompt(), image_prompt()][:batch])
    width = talk.inputs["input_ids"].shape[1]
    with torch.no_grad(), attach(talk.model, method, keys=list("ab"[:batch])):
        everything = talk.model(**talk.inputs).logits
        wanted = torch.tensor([width - 3, -1, width - 2])
        some = talk.model(**talk.inputs, logits_to_keep=wanted).logits
        assert torch.equal(some, everything[:, [-3, -1, -2]])
        assert torch.equal(talk.model(**talk.inputs, logits_to_keep=3).logits, everything[:, -3:])
        for asked in (torch.arange(width), width):
            with pytest.raises(UnsupportedError, match="tokens that were dropped"):
                talk.model(**talk.inputs, logits_to_keep=asked)
    assert torch.equal(everything, attached_again(talk, method, batch))


def attached_again(talk: Talk, method: Reducer, batch: int) -> Tensor:
    with torch.no_grad(), attach(talk.model, method, keys=list("ab"[:batch])):
        logits: Tensor = talk.model(**talk.inputs).logits
    return logits


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_models_leave_in_any_order(order: tuple[int, int]) -> None:
    talks = [Talk("llava", [image_prompt()]), Talk("qwen2_vl", [image_prompt()])]
    plain = [ask(talk.model, talk.inputs).sequences for talk in talks]
    stacks = [ExitStack(), ExitStack()]
    for stack, talk in zip(stacks, talks, strict=True):
        stack.enter_context(attach(talk.model, LAYER))
    both = [ask(talk.model, talk.inputs).sequences for talk in talks]
    for i in order:
        stacks[i].close()
        assert torch.equal(ask(talks[i].model, talks[i].inputs).sequences, plain[i])
    assert LOOKUP not in vars(ATTENTION_TABLE)
    for talk, sequences in zip(talks, both, strict=True):
        with attach(talk.model, LAYER):
            assert torch.equal(ask(talk.model, talk.inputs).sequences, sequences)


def test_two_models_in_two_threads() -> None:
    talks = [Talk("llava", [image_prompt()]), Talk("llava_onevision", [video_prompt()])]
    expected, found, faults = [], [None, None], []
    for talk in talks:
        with attach(talk.model, LAYER):
            expected.append(ask(talk.model, talk.inputs).sequences)

    def work(i: int) -> None:
        try:
            for _ in range(4):
                with attach(talks[i].model, LAYER):
                    found[i] = ask(talks[i].model, talks[i].inputs).sequences
        except Exception as fault:  # told in the main thread
            faults.append(fault)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert all(torch.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert LOOKUP not in vars(ATTENTION_TABLE)


def test_one_model_in_two_threads_is_attached_in_one() -> None:
    """Both come at once, again and again: one gets it, the other is told so, and the model is as it was afterwards."""
    talk = Talk("llava", [image_prompt()])
    gate, said = threading.Barrier(2, timeout=60), []

    def work() -> None:
        for _ in range(20):
            gate.wait()
            try:
                with attach(talk.model, LAYER):
                    gate.wait()
                    said.append("attached")
            except UnsupportedError as refused:
                gate.wait()
                said.append(str(refused))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusal = "a reducer is attached to this model already: leave its `with attach(...)` block first"
    assert sorted(said) == [refusal] * 20 + ["attached"] * 20
    assert not any(module._forward_pre_hooks for module in talk.model.modules())


@pytest.mark.parametrize("options", [{"num_beams": 3}, {"do_sample": True, "num_return_sequences": 3}])
def test_sequences_of_one_prompt_share_a_random_subset(options: dict[str, Any]) -> None:
    talk = Talk("llava", [image_prompt(), image_prompt("red ?")])
    with attach(talk.model, RandomDrop(ratio=0.3)) as trace:
        ask(talk.model, talk.inputs, **options)
    kept = [prompt.last_layer for prompt in trace.prompts]
    assert len(kept) == 6
    assert all(torch.equal(kept[i], kept[3 * (i // 3)]) for i in range(6))
    assert not torch.equal(kept[0], kept[3])


def refusal(**options: Any) -> tuple[str, int]:
    """What a call of `generate` is refused with, and how many forwards there were before."""
    talk = Talk("llava", [image_prompt()])
    ran: list[int] = []
    handles = [
        module.register_forward_pre_hook(lambda *_: ran.append(1))
        for module in (talk.model.model.vision_tower, talk.model.model.language_model)
    ]
    with attach(talk.model, LAYER), pytest.raises(UnsupportedError) as refused:
        talk.model.generate(**(dict(talk.inputs) | {"max_new_tokens": 2} | options))
    for handle in handles:
        handle.remove()
    return str(refused.value), len(ran)


def filled_elsewhere() -> DynamicCache:
    cache = DynamicCache()
    cache.update(torch.zeros(1, 2, 3, 4), torch.zeros(1, 2, 3, 4), 0)
    return cache


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("cache_implementation=static", {"cache_implementation": "static"}),
        ("cache_implementation=paged", {"cache_implementation": "paged"}),
        ("custom_generate", {"custom_generate": lambda *_, **__: None}),
        ("assistant_early_exit=2", {"assistant_early_exit": 2}),
        ("token_healing=True", {"token_healing": True}),
        ("use_mtp", {"use_mtp": True}),
        ("penalty_alpha", {"penalty_alpha": 0.6, "top_k": 4}),
        ("pass input_ids", {"input_ids": None, "inputs_embeds": torch.zeros(1, 5, 64)}),
        ("0 and 1", {"attention_mask": torch.full((1, 5), -1e9)}),
        (
            "padded on the left",
            {"attention_mask": torch.tensor([[1] * 10 + [0] * 200]), "input_ids": torch.ones(1, 210).long()},
        ),
        ("outside of this attach", {"past_key_values": filled_elsewhere()}),
    ],
)
def test_refusals_come_before_the_first_forward(words: str, options: dict[str, Any]) -> None:
    said, forwards = refusal(**options)
    assert words in said
    assert "\n" not in said
    assert forwards == 0


def test_continuous_batching_is_refused() -> None:
    talk = Talk("llava", [image_prompt()])
    with attach(talk.model, LAYER), pytest.raises(UnsupportedError, match="paged caches"):
        talk.model.generate_batch(inputs=[[1, 2]])


@methods
def test_a_float_mask_of_ones_is_a_mask(method: Reducer) -> None:
    talk = Talk("llava", [image_prompt(), text_prompt()])
    with torch.no_grad(), attach(talk.model, method):
        whole = talk.model(**talk.inputs).logits
        mask = talk.inputs["attention_mask"].float()
        assert torch.equal(whole, talk.model(**(dict(talk.inputs) | {"attention_mask": mask})).logits)


@methods
def test_embeddings_with_their_ids(method: Reducer) -> None:
    """`generate` hands the embeddings on alone; the ids that it was given say where the pictures are."""
    talk = Talk("llava", [image_prompt()])
    caught: list[Tensor] = []
    llm = talk.model.model.language_model
    handle = llm.register_forward_pre_hook(lambda m, a, k: caught.append(k["inputs_embeds"]), with_kwargs=True)
    ask(talk.model, talk.inputs, steps=1)
    handle.remove()
    ids = talk.inputs["input_ids"]
    with attach(talk.model, method, keys=["a"]):
        plain = ask(talk.model, talk.inputs)
        given = ask(talk.model, {"input_ids": ids, "inputs_embeds": caught[0]})
    assert (torch.stack(plain.logits) - torch.stack(given.logits)).abs().max() < GAP


def test_attachments_that_cannot_be() -> None:
    loaded = tiny_model("llava", "sdpa")
    model: Any = loaded.model
    with pytest.raises(UnsupportedError, match="LlavaModel is a part"), attach(model.model, LAYER):
        pass
    with pytest.raises(UnsupportedError, match=r"torch\.compile"), attach(torch.compile(model), LAYER):
        pass


def test_calls_that_cannot_be() -> None:
    talk = Talk("llava", [image_prompt()])
    model = talk.model
    with attach(model, LAYER), torch.no_grad():
        with pytest.raises(UnsupportedError, match="language model was called by itself"):
            model.model.language_model(inputs_embeds=torch.zeros(1, 3, 64))
        model.set_attn_implementation("flex_attention")
        with pytest.raises(UnsupportedError, match="attn=flex_attention is not supported"):
            model(**talk.inputs)
        model.set_attn_implementation("sdpa")
        model(**talk.inputs)


def test_gradient_checkpointing_is_refused() -> None:
    talk = Talk("llava", [image_prompt()])
    talk.model.train()
    talk.model.gradient_checkpointing_enable()
    try:
        once = pytest.raises(UnsupportedError, match="gradient checkpointing runs layers twice")
        with attach(talk.model, ToMe(ratio=0.5, schedule=First(3))), once:
            talk.model(**talk.inputs)
    finally:
        talk.model.gradient_checkpointing_disable()
        talk.model.eval()


class Wrapped(torch.nn.Module):
    """As a model of PEFT stands around its base."""

    def __init__(self, base: Any) -> None:
        super().__init__()
        self.base_model = base
        self.config = base.config

    def get_base_model(self) -> Any:
        return self.base_model

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        return self.base_model.generate(*args, **kwargs)


def test_a_wrapper_of_peft_is_seen_through() -> None:
    talk = Talk("llava", [image_prompt()])
    wrapped = Wrapped(talk.model)
    with attach(wrapped, LAYER) as trace:
        through = ask(wrapped, talk.inputs)
        assert trace.prompts[0].shares[2] < 0.5
        with pytest.raises(UnsupportedError, match="attached to this model already"), attach(talk.model, LAYER):
            pass
    with attach(talk.model, LAYER):
        assert torch.equal(through.sequences, ask(talk.model, talk.inputs).sequences)


def test_a_tuner_of_peft_is_seen_through() -> None:
    """In PEFT 0.21 ``peft_model.base_model`` is a tuner, whose ``model`` is the model, and which shows that."""
    talk = Talk("llava", [image_prompt()])

    class Tuner(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = talk.model

        def __getattr__(self, name: str) -> Any:
            try:
                return super().__getattr__(name)
            except AttributeError:
                return getattr(super().__getattr__("model"), name)

    with attach(Tuner(), LAYER) as trace:
        ask(talk.model, talk.inputs)
    assert trace.prompts[0].shares[2] < 0.5


def test_a_cropped_prompt_is_refused() -> None:
    talk = Talk("llava", [image_prompt()])
    with attach(talk.model, LAYER), torch.no_grad():
        cache = cache_of(talk.model(**talk.inputs, use_cache=True))
        cache.crop(-3)
        with pytest.raises(UnsupportedError, match="cropped into a prompt"):
            talk.model(input_ids=torch.tensor([[4]]), past_key_values=cache)

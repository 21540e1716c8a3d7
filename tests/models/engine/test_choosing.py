"""Choosing among stored keys while decoding: what the oracle says of the same choices, and what is refused."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch

from winnow.models.check.cases import image_prompt, text_prompt, tiny_model, video_prompt
from winnow.models.check.oracle import oracle_logits
from winnow.models.engine import attach
from winnow.models.engine.joint import begin
from winnow.models.families import find_family
from winnow.models.families.support import impossible
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.decoding import StepView
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site

PROMPTS = [video_prompt(), text_prompt(), image_prompt()]
STEPS = 5


@dataclass(frozen=True)
class Reading(Reducer):
    """Reads every other visual token at odd steps, all at even ones, and remembers what it was shown."""

    pick: Callable[[torch.Tensor], torch.Tensor] = lambda visual: visual[::2]
    seen = []  # noqa: RUF012

    def sites(self, depth: int, tower: object = None) -> tuple[Site, ...]:
        return (Site.decode(2, depth),)

    def reduce(self, view: StepView) -> Reduction | None:
        self.seen.append(view)
        step = view.told or 0
        return Reduction(self.pick(view.visual) if step % 2 else view.visual, told=step + 1)


def decode(family: str, attn: str, method: Reducer, prompts: list[Any], **options: Any) -> tuple[Any, Any]:
    loaded: Any = tiny_model(family, attn)
    inputs = loaded.family.encode(loaded.processor, prompts)
    fixed = {"max_new_tokens": STEPS, "min_new_tokens": STEPS, "pad_token_id": 0, "do_sample": False}
    fixed |= {"output_logits": True, "return_dict_in_generate": True}
    with torch.no_grad(), attach(loaded.model, method) as trace:
        return loaded.model.generate(**inputs, **(fixed | options)), trace


@pytest.mark.parametrize(("family", "attn"), [("llava", "eager"), ("llava", "sdpa"), ("qwen2_vl", "sdpa")])
def test_answers_are_the_oracles(family: str, attn: str) -> None:
    loaded: Any = tiny_model(family, attn)
    Reading.seen.clear()
    out, trace = decode(family, attn, Reading(), PROMPTS)
    plain, _ = decode(family, attn, Reducer(), PROMPTS)
    logits = torch.stack(out.logits, 1)
    for row, (prompt, told) in enumerate(zip(PROMPTS, trace.prompts, strict=True)):
        inputs = loaded.family.encode(loaded.processor, [prompt])
        parts = loaded.family.parts(loaded.model)
        expected = oracle_logits(loaded.model, parts, inputs, out.sequences[row, -STEPS:], told)
        assert (logits[row] - expected).abs().max() < 2e-4
        read = [None if step is None else len(step.reduction.keep) for step in told.decoded]
        n = len(told.layout.visual)
        assert read == ([n, (n + 1) // 2, n, (n + 1) // 2] if n else [None] * (STEPS - 1))
    assert torch.equal(logits[:, :2], torch.stack(plain.logits[:2], 1))  # nothing is hidden at the first step
    assert (logits[0, 2] - plain.logits[2][0]).abs().max() > 1e-3  # and something at the second
    shown = Reading.seen[0]
    assert len(shown.attention) == len(shown.visual) and 0 < float(shown.attention.sum()) < 1


@dataclass(frozen=True)
class Carrying(Reducer):
    """Drops every other visual token in front of layer 2, and while decoding in the layers before, too."""

    adaptive: ClassVar[bool] = True
    reads: bool = True

    def sites(self, depth: int, tower: object = None) -> tuple[Site, ...]:
        return (Site.layer(2, depth), *([Site.decode(0, depth)] if self.reads else []))

    def reduce(self, view: View | StepView) -> Reduction:
        if isinstance(view, StepView):
            assert len(view.attention) == len(view.visual) and not view.attention.any()
            return Reduction(view.told)
        return Reduction(view.visual[::2], told=view.visual[::2])


def test_what_the_prefill_chose_is_read_from_the_first_layer_on() -> None:
    loaded: Any = tiny_model("llava", "sdpa")
    out, trace = decode("llava", "sdpa", Carrying(), PROMPTS)
    kept, _ = decode("llava", "sdpa", Carrying(reads=False), PROMPTS)
    parts, logits = loaded.family.parts(loaded.model), torch.stack(out.logits, 1)
    for row, (prompt, told) in enumerate(zip(PROMPTS, trace.prompts, strict=True)):
        inputs = loaded.family.encode(loaded.processor, [prompt])
        expected = oracle_logits(loaded.model, parts, inputs, out.sequences[row, -STEPS:], told)
        assert (logits[row] - expected).abs().max() < 2e-4
        read = [None if step is None else step.reduction.keep.tolist() for step in told.decoded]
        assert read == [told.layout.visual[::2].tolist() or None] * (STEPS - 1)
    assert torch.equal(logits[:, 0], kept.logits[0]) and (logits[0, 1] - kept.logits[1][0]).abs().max() > 1e-3


def test_the_attention_that_is_shown_is_the_models() -> None:
    loaded: Any = tiny_model("llava", "eager")
    found: list[torch.Tensor] = []
    layer = loaded.family.parts(loaded.model).layers[1]
    handle = layer.self_attn.register_forward_hook(lambda module, args, output: found.append(output[1]))
    Reading.seen.clear()
    decode("llava", "eager", Reading(), [video_prompt()])
    handle.remove()
    for view, weights in zip(Reading.seen, found[1:], strict=True):
        assert torch.allclose(view.attention, weights[0, :, -1].mean(0)[view.visual], atol=1e-6)


@pytest.mark.parametrize("options", [{"num_beams": 2}, {"use_cache": False}, {"prompt_lookup_num_tokens": 2}])
def test_steps_of_several_sequences_or_tokens_are_refused(options: dict[str, Any]) -> None:
    name = next(iter(options))
    with pytest.raises(UnsupportedError, match=f"{name}=.* chooses among stored keys step by step"):
        decode("llava", "sdpa", Reading(), [video_prompt()], **options)


def test_later_turns_and_joint_decoding_are_refused() -> None:
    loaded: Any = tiny_model("llava", "sdpa")
    inputs = loaded.family.encode(loaded.processor, [video_prompt()])
    with torch.no_grad(), attach(loaded.model, Reading()):
        cache = loaded.model(**inputs).past_key_values
        with pytest.raises(UnsupportedError, match="chooses among the keys of one prompt, one token at a time"):
            loaded.model(input_ids=inputs["input_ids"][:, -2:], past_key_values=cache)
        with pytest.raises(UnsupportedError, match="has to decode by itself"):
            begin(loaded.model, inputs, {"max_new_tokens": 3})


def test_hybrids_are_refused() -> None:
    why = impossible(find_family("qwen3_5"), Reading(), 8)
    assert why == "chooses among stored keys while decoding, but most layers carry a state in place of them"
    assert not impossible(find_family("qwen2_vl"), Reading(), 8)


def test_a_choice_of_what_is_not_held_is_refused() -> None:
    with pytest.raises(WinnowError, match="reads keys that are not held, or not in ascending order"):
        decode("llava", "sdpa", Reading(lambda visual: visual.flip(0)), [video_prompt()])

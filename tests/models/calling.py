"""Conversations with tiny models, by hand and through `generate`."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModelForImageTextToText

from winnow.models.check.cases import tiny_model
from winnow.models.check.oracle import conversation_logits
from winnow.models.engine import attach, trained_positions
from winnow.models.engine.trace import PromptTrace
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded
from winnow.models.transformers_api import CACHE, cache_of
from winnow.reducers.core.base import Reducer, Scorer
from winnow.reducers.core.probes import Probe
from winnow.reducers.core.reduction import View
from winnow.reducers.core.schedule import K

Told = list[PromptTrace]


@torch.no_grad()
def ask(model: Any, inputs: Any, steps: int = 4, **options: Any) -> Any:
    """Answers of exactly `steps` tokens, with their logits."""
    fixed = {"do_sample": False, "max_new_tokens": steps, "min_new_tokens": steps, "pad_token_id": 0}
    return model.generate(**(fixed | dict(inputs) | options), output_logits=True, return_dict_in_generate=True)


@dataclass(frozen=True)
class Reading(Scorer):
    """Remembers what it saw of some statistics of layer 1."""

    asked: ClassVar[tuple[Probe, ...]] = ()
    seen: ClassVar[list[Any]] = []
    schedule: K = K(2)

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        return tuple((probe, 1) for probe in self.asked)

    def score(self, view: View) -> Tensor:
        self.seen.append((view.layout, [view.signals[probe, 1] for probe in self.asked]))
        return torch.zeros(len(view.visual))


class Talk:
    """One prompt that is answered step by step, greedily and by hand, on a cache of its own."""

    def __init__(self, family: str, prompts: Sequence[Prompt]) -> None:
        self.loaded = tiny_model(family, "sdpa")
        self.model: Any = self.loaded.model
        self.inputs = self.loaded.encode(list(prompts))
        self.cache: Any = None
        self.answer = torch.zeros(1, 0, dtype=torch.long)
        self.told: PromptTrace | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "Talk":
        from copy import deepcopy

        other = object.__new__(Talk)
        vars(other).update(vars(self) | {"cache": deepcopy(self.cache)})
        return other

    @torch.no_grad()
    def step(self) -> Tensor:
        """Logits of the next token."""
        given = self.inputs if self.cache is None else {"input_ids": self.answer[:, -1:], CACHE: self.cache}
        out = self.model(**given, use_cache=True)
        if self.cache is None:
            self.told = self.model.model.language_model._winnow_session.trace.prompts[0]
        self.cache = cache_of(out)
        logits: Tensor = out.logits[0, -1]
        self.answer = torch.cat([self.answer, logits.argmax()[None, None]], 1)
        return logits

    def gap(self, logits: Tensor) -> float:
        """How far the last logits lie from the oracle's."""
        assert self.told is not None
        parts = self.loaded.family.parts(self.model)
        expected = conversation_logits(self.model, parts, self.inputs, self.answer[0], [self.told])
        return float((expected[-2] - logits).abs().max())


def joined(
    loaded: Loaded, method: Reducer, prompts: Sequence[Prompt], number: int = 0
) -> tuple[Told, dict[str, Any], Tensor, Tensor]:
    """Ask the prompts one after the other on one cache, the first `number` of them with their position ids.

    Returns
    -------
    tuple
        The trace of each turn; all turns but the last answer as one prompt; the last answer and its logits.
    """
    model: Any = loaded.model
    ids, past, told = torch.zeros(1, 0, dtype=torch.long), None, Told()
    pixels: dict[str, list[Tensor]] = {}
    with attach(model, method, keys=["a"]) as trace:
        for turn, prompt in enumerate(prompts):
            inputs = dict(loaded.family.encode(loaded.processor, [prompt]))
            asked = torch.cat([ids, inputs.pop("input_ids")], 1)
            inputs.pop("attention_mask")
            told_kinds = "token_type_ids" if "token_type_ids" in inputs else "mm_token_type_ids"
            kinds = inputs.pop(told_kinds, None)
            for name, value in inputs.items():
                pixels.setdefault(name, []).append(value)
            if kinds is not None:
                before = pixels.get(told_kinds, [kinds[:, :0]])[-1]
                pixels[told_kinds] = [
                    torch.cat([before, kinds.new_zeros(1, asked.shape[1] - before.shape[1] - kinds.shape[1]), kinds], 1)
                ]
                inputs[told_kinds] = pixels[told_kinds][0]
            if turn < number:
                inputs["position_ids"] = trained_positions(model, _whole(loaded, pixels) | {"input_ids": asked})
            out = ask(model, inputs | {"input_ids": asked} | ({} if past is None else {CACHE: past}))
            past, ids = cache_of(out), out.sequences
            told.append(trace.prompts[0])
        assert [turn[0] for turn in trace.turns] == told
    whole = _whole(loaded, pixels) | {"input_ids": asked}
    if number:
        whole["position_ids"] = trained_positions(model, whole)
    return told, whole, ids[0, asked.shape[1] :], torch.stack(out.logits, 1)[0]


def _whole(loaded: Loaded, pixels: dict[str, list[Tensor]]) -> dict[str, Any]:
    """The pictures of all turns; composed models and SmolVLM take those of a prompt in a row."""
    side = int(loaded.family.name in ("llava_video", "smolvlm"))
    return {name: torch.cat(values, side) for name, values in pixels.items()}


def oracle_gap(loaded: Loaded, inputs: dict[str, Any], answer: Tensor, told: Told, logits: Tensor) -> float:
    """How far an answer's logits lie from the oracle's."""
    parts = loaded.family.parts(loaded.model)
    expected = conversation_logits(loaded.model, parts, inputs, answer, told)
    return float((expected[-len(answer) - 1 : -1] - logits).abs().max())


@cache
def windowed(llm: str, attn: str, window: int) -> Loaded:
    """A tiny LLaVA whose LLM has sliding windows: in all layers, or in every other one."""
    base = tiny_model("llava", attn)
    config = base.model.config.__class__.from_dict(base.model.config.to_dict())
    old = config.text_config
    numbers: dict[str, Any] = {
        name: getattr(old, name)
        for name in ("vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads")
    }
    numbers |= {"num_key_value_heads": 2, "sliding_window": window, "head_dim": 16, "pad_token_id": old.pad_token_id}
    if llm in ("qwen2", "gemma3_text"):
        numbers["layer_types"] = ["full_attention", "full_attention", "sliding_attention"] * 2
        numbers |= {"use_sliding_window": True} if llm == "qwen2" else {}
    config.text_config = AutoConfig.for_model(llm, **numbers)
    config._attn_implementation = attn
    torch.manual_seed(5)
    model = AutoModelForImageTextToText.from_config(config, attn_implementation=attn).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1 and "embed" not in name:
                parameter.mul_(3)
    return replace(base, model=model)

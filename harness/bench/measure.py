"""One generation under one method, measured."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import BatchFeature, StoppingCriteria, StoppingCriteriaList

from winnow.harness.bench.clock import Clock, watched
from winnow.harness.bench.memory import peak_memory
from winnow.models.engine import attach
from winnow.models.loading.load import Loaded
from winnow.models.transformers_api import attention_of, cache_of
from winnow.reducers.core.base import Reducer

QUESTION = "What is shown here, and where?"
"""What methods are told that read the words of a prompt: a benchmark's are drawn at random."""


@dataclass(frozen=True)
class Measurement:
    """What one generation took.

    Attributes
    ----------
    phases : dict of float
        Seconds of the model's phases up to the first token; they add up to `first`.
    first : float
        Seconds from the call to the first token.
    step : float or None
        Seconds for each later token, averaged; None with a single new token.
    peak : int or None
        Bytes at the peak, above what was allocated before.
    kv : int
        Bytes of the KV cache after the prefill.
    tokens : list of list of int
        Per prompt the tokens that each layer processed.
    """

    phases: dict[str, float]
    first: float
    step: float | None
    peak: int | None
    kv: int
    tokens: list[list[int]]


class _Tokens(StoppingCriteria):
    """Marks the time at which each token is known, and ends the account of phases with the first; stops nothing."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.marks: list[Any] = []

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor, **kwargs: Any) -> torch.BoolTensor:
        if not self.marks:
            self.clock.stop()
        self.marks.append(self.clock.now())
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)  # type: ignore[return-value]


def measure(
    loaded: Loaded,
    inputs: BatchFeature,
    reducer: Reducer | None,
    new_tokens: int,
    clock: Clock,
    attentions: bool = False,
) -> Measurement:
    """Generate exactly `new_tokens` tokens greedily.

    Parameters
    ----------
    loaded : Loaded
    inputs : BatchFeature
        On the model's device.
    reducer : Reducer or None
        None: the plain model, without the engine.
    new_tokens : int
    clock : Clock
    attentions : bool
        Attend eagerly and return every attention matrix.
    """
    model: Any = loaded.model
    parts = loaded.family.parts(model)
    told = _Tokens(clock)
    with ExitStack() as stack:
        if attentions:
            stack.enter_context(_eager(model))
        stack.enter_context(torch.inference_mode())
        stack.enter_context(watched(parts, clock))
        texts = [QUESTION] * len(inputs["input_ids"])
        trace = stack.enter_context(attach(model, reducer, texts=texts)) if reducer is not None else None
        clock.wait()
        with peak_memory(model.device) as peak:
            start = clock.now()
            clock.start()
            output = model.generate(**inputs, **_options(new_tokens, told, attentions))
            clock.wait()
    length = int(inputs["input_ids"].shape[1])
    plain = [[length] * len(parts.layers)] * len(inputs["input_ids"])
    later = clock.seconds(told.marks[0], told.marks[-1])
    return Measurement(
        clock.phases(),
        clock.seconds(start, told.marks[0]),
        later / (new_tokens - 1) if new_tokens > 1 else None,
        peak.bytes,
        kv_bytes(cache_of(output), new_tokens - 1),
        plain if trace is None else [prompt.tokens_per_layer for prompt in trace.prompts],
    )


def _options(new_tokens: int, told: _Tokens, attentions: bool) -> dict[str, Any]:
    """Exactly so many tokens, greedily, each of which is noted."""
    more = {"output_attentions": True} if attentions else {}
    length = {"max_new_tokens": new_tokens, "min_new_tokens": new_tokens, "do_sample": False, "pad_token_id": 0}
    return length | {"return_dict_in_generate": True, "stopping_criteria": StoppingCriteriaList([told])} | more


@contextmanager
def _eager(model: Any) -> Iterator[None]:
    """Attend eagerly meanwhile."""
    before = attention_of(model.config)
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(before)


def kv_bytes(cache: Any, later: int) -> int:
    """Bytes of the keys and values in a cache, without its last `later` tokens."""
    tensors = [tensor for layer in cache.layers for tensor in (layer.keys, layer.values)]
    return sum(x[..., : x.shape[-2] - later, :].numel() * x.element_size() for x in tensors)

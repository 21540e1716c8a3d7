"""Prefills of several methods over one prompt, each by itself or in one tree, and what a layer takes by itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import cycle
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache, StoppingCriteria, StoppingCriteriaList

from winnow.harness.bench.clock import PREFILL, REDUCER, Clock, watched
from winnow.harness.bench.memory import peak_memory
from winnow.models.engine import Trunk, attach
from winnow.models.engine.joint import begin, finish
from winnow.models.engine.session import Session
from winnow.models.families.base import Parts
from winnow.models.transformers_api import CACHE
from winnow.reducers.core.base import Reducer

POINTS = 8
"""Numbers of tokens at which a layer is timed; between them a straight line holds."""


class Measured(NamedTuple):
    """One pass of all methods over one prompt.

    Attributes
    ----------
    llm, own : list of float
        Seconds of the LLM in each method's prefill, and of what the method and its statistics take.
    bytes : int
        Peak memory above what was there.
    ran : list of int
        Tokens of each layer that was computed.
    plans : list of list of int
        Of each method the tokens of each layer.
    """

    llm: list[float]
    own: list[float]
    bytes: int
    ran: list[int]
    plans: list[list[int]]


@torch.inference_mode()
def prefills(model: Any, parts: Parts, inputs: Mapping[str, Any], methods: Sequence[Reducer], share: bool) -> Measured:
    """Prefill one batch under each method in turn."""
    trunk = Trunk(methods) if share else None
    with peak_memory(model.device) as peak, _timed(model, parts) as clock:
        found = [_prefill(model, inputs, method, trunk, clock) for method in methods]
    plans = [plan for _, plan in found]
    llm, own = ([phases.get(name, 0.0) for phases, _ in found] for name in (PREFILL, REDUCER))
    ran = [n for plan in plans for n in plan] if trunk is None else trunk.ran
    return Measured(llm, own, peak.bytes or 0, ran, plans)


@torch.inference_mode()
def in_turns(
    model: Any, parts: Parts, inputs: Mapping[str, Any], methods: Sequence[Reducer], between: Callable[[], None]
) -> tuple[list[float], list[float]]:
    """Seconds of the LLM in each method's prefill by itself and in one tree, the two and what else is timed in turn."""
    trunk = Trunk(methods)
    ways: tuple[list[float], list[float]] = [], []
    with _timed(model, parts) as clock:
        for method in methods:
            for way, tree in zip(ways, (None, trunk), strict=True):
                way.append(_prefill(model, inputs, method, tree, clock)[0].get(PREFILL, 0.0))
            between()
    return ways


def _prefill(
    model: Any, inputs: Mapping[str, Any], method: Reducer, trunk: Trunk | None, clock: Clock
) -> tuple[dict[str, float], list[int]]:
    """Seconds of the phases of one prefill, and the tokens of each layer."""
    with attach(model, method, trunk=trunk) as trace:
        clock.start()
        model.generate(**inputs, do_sample=False, max_new_tokens=1, pad_token_id=0)
        clock.stop()
    clock.wait()
    return clock.phases(), trace.prompts[0].tokens_per_layer


@contextmanager
def _timed(model: Any, parts: Parts) -> Iterator[Clock]:
    clock = Clock(model.device, "cpu")
    with _layers(clock), watched(parts, clock):
        yield clock


@torch.inference_mode()
def decodings(model: Any, inputs: Mapping[str, Any], methods: Sequence[Reducer], new: int) -> tuple[float, float]:
    """Seconds that answers of so many tokens take behind their prefills: each method by itself, and all together."""
    fixed = {"max_new_tokens": new, "min_new_tokens": new, "pad_token_id": 0}
    alone = 0.0
    for method in methods:
        first = _First(model.device)
        with attach(model, method):
            model.generate(**inputs, **fixed, do_sample=False, stopping_criteria=StoppingCriteriaList([first]))
        alone += _now(model.device) - first.at
    trunk, begun = Trunk(methods), []
    for method in methods:
        with attach(model, method, trunk=trunk):
            begun.append(begin(model, inputs, fixed))
    started = _now(model.device)
    finish(model, begun, fixed)
    return alone, _now(model.device) - started


class _First(StoppingCriteria):
    """Stops nothing; notes when the first token was there."""

    def __init__(self, device: torch.device) -> None:
        self.device, self.at = device, 0.0

    def __call__(self, input_ids: Tensor, scores: Any, **more: Any) -> Tensor:
        """No row has ended."""
        self.at = self.at or _now(self.device)
        return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)


@contextmanager
def _layers(clock: Clock) -> Iterator[None]:
    """Charge layers that run on behalf of a tree to the LLM, though it is the engine that calls them."""
    before = Session.run_layer
    Session.run_layer = clock.charge(PREFILL, before)  # type: ignore[method-assign]
    try:
        yield
    finally:
        Session.run_layer = before  # type: ignore[method-assign]


def in_order(measured: Measured, methods: Sequence[Reducer]) -> list[Reducer]:
    """The methods in the order in which they should take their turns: who kept most for longest comes first."""
    return [methods[at] for at in sorted(range(len(methods)), key=lambda at: [-n for n in measured.plans[at]])]


def least(seconds: Sequence[Sequence[float]]) -> float:
    """Of each method the least of all passes, summed."""
    return sum(map(min, zip(*seconds, strict=True)))


def typical(seconds: Sequence[Sequence[float]]) -> float:
    """Of each method the median of all passes, summed."""
    return sum(map(median, zip(*seconds, strict=True)))


class LayerTimes:
    """What a decoder layer takes by its tokens: the median of all passes, a straight line between some numbers of them.

    Parameters
    ----------
    parts : Parts
    counts : sequence of int
        Tokens of the layers that are to be told.
    """

    def __init__(self, parts: Parts, counts: Sequence[int]) -> None:
        self._parts = parts
        self._taken = {round(n): list[float]() for n in np.geomspace(min(counts), max(counts), POINTS)}
        self._next = cycle(self._taken)

    def measure(self) -> None:
        """Time the next number of tokens once."""
        n = next(self._next)
        self._taken[n].append(_layer_seconds(self._parts, n))

    def rounds(self, count: int) -> LayerTimes:
        """Time all of them so often."""
        for _ in range(count * len(self._taken)):
            self.measure()
        return self

    def at(self, n: int) -> float:
        """Seconds at n tokens."""
        points = sorted(self._taken)
        return float(np.interp(n, points, [median(self._taken[point]) for point in points]))


@torch.inference_mode()
def _layer_seconds(parts: Parts, n: int) -> float:
    """Seconds of one decoder layer at n tokens: all of them, one behind the other into one cache, as a prefill does."""
    llm: Any = parts.llm
    weight = next(llm.layers[0].parameters())
    hidden = torch.randn(1, n, llm.config.hidden_size, device=weight.device, dtype=weight.dtype)
    rotary = llm.rotary_emb(hidden, torch.arange(n, device=weight.device)[None])
    cache, started = DynamicCache(), _now(weight.device)
    for layer in llm.layers:
        hidden = layer(hidden, attention_mask=None, position_embeddings=rotary, **{CACHE: cache})
    return (_now(weight.device) - started) / len(llm.layers)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()

"""What the cost model says of the same tokens on the same machine: never in one column with a measured number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from winnow.harness.bench.clock import Clock
from winnow.harness.cost.hardware import UNITS, Hardware, Peak
from winnow.harness.cost.physical import NAME
from winnow.harness.cost.shape import LLMShape
from winnow.harness.plan.nominal import Nominal
from winnow.harness.plan.prefill import LLM, METHOD, cost, whole
from winnow.reducers.core.base import Reducer

PROFILE = NAME
SIDE = {"cpu": 1024, "cuda": 8192}
"""Of the matrices whose product tells a device's arithmetic."""
COPIED = {"cpu": 2**28, "cuda": 2**31}
"""Bytes of the block whose copy tells its bandwidth."""


@dataclass(frozen=True)
class Modelled:
    """The LLM's prefill of a batch with the method's own work, without the LM head: FLOPs and roofline seconds."""

    flops: float
    seconds: float


def modelled(prompt: Nominal, tokens: Sequence[Sequence[int]], reducer: Reducer | None, machine: Hardware) -> Modelled:
    """Compute what the prefill of some prompts costs, from the tokens that each layer processed."""
    spent = []
    for layers in tokens:
        parts = whole(prompt, [n - prompt.text for n in layers], reducer).parts
        spent.append(cost([*parts[LLM], *parts[METHOD]], machine, prompt.dtype))
    return Modelled(sum(one.flops for one in spent), sum(one.seconds for one in spent))


def machine(device: torch.device, dtype: str, clock: Clock) -> Hardware:
    """Measure what a roofline needs: a product of large matrices in the model's type, and a copy."""
    kind: Any = getattr(torch, dtype)
    side, size = SIDE.get(device.type, 1024), COPIED.get(device.type, 2**28)
    matrix = torch.randn(side, side, device=device).to(kind)
    block, out = torch.ones(size // 4, device=device), torch.empty_like(matrix)
    target = torch.empty_like(block)
    product = _least(clock, lambda: torch.mm(matrix, matrix, out=out))
    copy = _least(clock, lambda: target.copy_(block))
    peak = Peak(**{UNITS[dtype]: 2 * side**3 / product / 1e12})
    return Hardware(f"this machine, {device.type}", 2 * size / copy / 1e9, peak=peak)


def layer_rate(shape: LLMShape, tokens: int, device: torch.device, dtype: str, clock: Clock) -> float:
    """Measure the FLOP/s that the seven products of one decoder layer with a dense MLP reach, over random operands.

    Parameters
    ----------
    shape : LLMShape
    tokens : int
        Rows of each product: all tokens of a batch.
    """
    kind: Any = getattr(torch, dtype)
    inner, kv = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    sizes = [(shape.hidden, inner), (shape.hidden, kv), (shape.hidden, kv), (inner, shape.hidden)]
    sizes += [(shape.hidden, shape.mlp), (shape.hidden, shape.mlp), (shape.mlp, shape.hidden)]
    flops = seconds = 0.0
    for wide, out in sizes:
        rows, weight = (torch.randn(many, wide, device=device).to(kind) for many in (tokens, out))
        flops += 2.0 * tokens * wide * out
        seconds += _least(clock, partial(torch.nn.functional.linear, rows, weight))
    return flops / seconds


def _least(clock: Clock, work: Callable[[], object]) -> float:
    """Fewest seconds of a few tries, the first of which pays for what has to be set up."""
    taken = []
    for _ in range(4):
        start = clock.now()
        work()
        stop = clock.now()
        clock.wait()
        taken.append(clock.seconds(start, stop))
    return min(taken)

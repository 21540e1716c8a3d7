"""The step after the prefill: one token, for which every weight and the whole cache are read."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.harness.cost.memory import read_bytes
from winnow.harness.cost.op import LINEAR_FLOPS, Op
from winnow.harness.cost.shape import LLMShape


def step_op(shape: LLMShape, tokens_per_layer: Sequence[int], done: int = 0, width: float = 2) -> Op:
    """Cost of one decoding step as a single operator; its roofline time is the time per output token.

    Parameters
    ----------
    shape : LLMShape
        The LLM.
    tokens_per_layer : sequence of int
        Tokens that each layer has in its cache after the prefill.
    done : int
        Tokens decoded so far.
    width : float
        Bytes per element of weights and cache.
    """
    cached = [n + done for n in tokens_per_layer]
    weights = shape.active_parameters + shape.hidden * shape.vocab
    shapes = [shape.at(layer) for layer in range(shape.layers)]
    seen = sum(one.kept(n) * one.head_dim for n, one in zip(cached, shapes, strict=True) if not one.recurrent)
    stepped = sum(one.states.step() for one in shapes if one.recurrent and one.states)
    attention = 2 * LINEAR_FLOPS * shape.heads * seen + stepped
    read = sum(read_bytes(one, n, width) for n, one in zip(cached, shapes, strict=True))
    return Op("step", LINEAR_FLOPS * weights + attention, weights * width, kv_load=read)

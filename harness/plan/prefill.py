"""The whole modelled cost of one prompt: by part, by layer, and what it leaves in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from winnow.harness.cost import llm_viewer, physical
from winnow.harness.cost import method_ops as method
from winnow.harness.cost.decode import step_op
from winnow.harness.cost.hardware import WIDTHS, Hardware
from winnow.harness.cost.memory import kv_bytes, peak_bytes, weight_bytes
from winnow.harness.cost.op import Op
from winnow.harness.cost.vision import projector_ops, tower_ops
from winnow.harness.plan.nominal import Nominal
from winnow.reducers.core.base import Reducer

LLM, HEAD, TOWER, PROJECTOR, METHOD = "LLM layers", "LM head", "vision tower", "projector", "method"
HALF = 2.0
"""Bytes per element of the papers' convention, whatever the model's type."""


@dataclass(frozen=True)
class Cost:
    """FLOPs, roofline seconds and bytes moved of some operators; never a footprint, never measured."""

    flops: float
    seconds: float
    bytes: float


def cost(ops: Iterable[Op], machine: Hardware, dtype: str) -> Cost:
    """Add up operators on a machine."""
    ops = list(ops)
    return Cost(sum(op.flops for op in ops), machine.seconds(ops, dtype), sum(op.bytes for op in ops))


@dataclass(frozen=True)
class Prefill:
    """The operators of one prefill, in one profile.

    Attributes
    ----------
    profile : str
        Its name.
    dtype : str
        Type of the numbers.
    parts : mapping of str to list of Op
        By part of the model; the decoder layers all together.
    layers : list of list of Op
        By decoder layer.
    """

    profile: str
    dtype: str
    parts: Mapping[str, list[Op]]
    layers: list[list[Op]]

    def total(self, machine: Hardware) -> Cost:
        """Sum over the parts."""
        return cost((op for ops in self.parts.values() for op in ops), machine, self.dtype)


def papers(prompt: Nominal, visual: Sequence[int], reducer: Reducer | None = None) -> Prefill:
    """Count the way the papers do: LLM and LM head, 16 bit, eager attention; arguments as of `whole`."""
    layers = [
        llm_viewer.layer_ops(prompt.shape.at(layer), n + prompt.text, prompt.mlp_add, HALF, mlp=left + prompt.text)
        for layer, (n, left) in enumerate(zip(visual, prompt.mlp(reducer, visual), strict=True))
    ]
    parts = {LLM: [op for ops in layers for op in ops], HEAD: [llm_viewer.head_op(prompt.shape, HALF)]}
    return Prefill(llm_viewer.NAME, "float16", parts, layers)


def whole(prompt: Nominal, visual: Sequence[int], reducer: Reducer | None = None) -> Prefill:
    """Count all that a prefill computes.

    Parameters
    ----------
    prompt : Nominal
        The model and its prompt.
    visual : sequence of int
        Visual tokens that enter each layer.
    reducer : Reducer or None
        The method, whose own work counts too; None for the unreduced prompt.
    """
    width, attn, frames = WIDTHS[prompt.dtype], prompt.attn, prompt.span.frames
    layers = [
        physical.layer_ops(prompt.shape.at(layer), n + prompt.text, attn, width, left + prompt.text)
        for layer, (n, left) in enumerate(zip(visual, prompt.mlp(reducer, visual), strict=True))
    ]
    own = list(method.llm_ops(reducer, prompt.shape, [prompt.span], visual, prompt.text, width)) if reducer else []
    kept = None
    depth = prompt.shape.layers
    if reducer and prompt.tower and reducer.acts_in_tower(depth, prompt.tower):
        kept = reducer.plan_tower(depth, prompt.tower)
    if reducer and prompt.tower:
        own += method.tower_ops(reducer, prompt.vision, prompt.tower, depth, frames, width)
    parts = {
        TOWER: tower_ops(prompt.vision, frames, kept[:-1] if kept else None, attn, width),
        PROJECTOR: projector_ops(prompt.projector, frames, kept[-1] if kept else None, width),
        METHOD: own,
        LLM: [op for ops in layers for op in ops],
        HEAD: [physical.head_op(prompt.shape, width)],
    }
    return Prefill(physical.NAME, prompt.dtype, parts, layers)


@dataclass(frozen=True)
class Memory:
    """Bytes that a prompt leaves and needs, and the roofline seconds of one decoding step behind it."""

    weights: float
    kv: float
    peak: float
    step: float


def memory(prompt: Nominal, visual: Sequence[int], machine: Hardware) -> Memory:
    """Weights, KV cache, peak footprint and time per output token; see `winnow.harness.cost.memory` and `decode`."""
    tokens, width = [n + prompt.text for n in visual], WIDTHS[prompt.dtype]
    weights = weight_bytes(prompt.shape, prompt.tied, prompt.vision, prompt.projector, width)
    kv = kv_bytes(prompt.shape, tokens, width)
    peak = peak_bytes(prompt.shape, tokens, weights, prompt.vision, prompt.span.frames, prompt.attn, width)
    return Memory(weights, kv, peak, machine.seconds([step_op(prompt.shape, tokens, 0, width)], prompt.dtype))

"""Refuses what would not fit or would take hours, before it starts, with the estimate."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from winnow.harness.bench.cells import COMMON, Variant
from winnow.harness.config.schema import ModelConfig
from winnow.harness.cost.hardware import WIDTHS, Hardware
from winnow.harness.cost.memory import peak_bytes
from winnow.harness.plan.nominal import nominal
from winnow.harness.plan.prefill import TOWER, whole
from winnow.models.loading.random_weights import free_bytes
from winnow.reducers.core.errors import WinnowError

EFFICIENCY = 0.5
"""Of a whole model, against products of large matrices."""
PIXEL_BYTES = 4


def flops(variants: Sequence[Variant], rounds: int, encodings: int) -> float:
    """Floating-point operations of a whole measurement, as planned: every prefill, and the towers."""
    cell = variants[0].cell
    prompt = nominal(cell.seen)
    llm = tower = 0.0
    for variant in variants:
        reducer = variant.built.reducer if variant.built else None
        visual = prompt.plan(reducer) if reducer else [prompt.visual] * prompt.shape.layers
        for part, ops in whole(prompt, visual, reducer).parts.items():
            spent = sum(op.flops for op in ops)
            llm, tower = (llm, max(tower, spent)) if part == TOWER else (llm + spent, tower)
    return cell.batch_size * (rounds * llm + encodings * tower)


def needed_bytes(model: ModelConfig, batch: int, attentions: bool = False) -> float:
    """Memory beside the weights at the peak of an unreduced generation, which may return its attention matrices."""
    prompt, width = nominal(model), WIDTHS[model.dtype]
    tokens = [prompt.visual + prompt.text] * prompt.shape.layers
    frames = prompt.span.frames
    pixels = frames * prompt.vision.patches * prompt.vision.pixels * PIXEL_BYTES
    matrices = attentions * prompt.shape.heads * sum(n * n for n in tokens) * width
    return batch * (matrices + pixels + peak_bytes(prompt.shape, tokens, 0, prompt.vision, frames, model.attn, width))


def check(
    variants: Sequence[Variant], device: torch.device, machine: Hardware, rounds: int, encodings: int, minutes: float
) -> None:
    """Refuse what would not fit or would take too long.

    Raises
    ------
    WinnowError
        Names the estimate and what would be less.
    """
    cell = variants[0].cell
    model, prompt = cell.seen, nominal(cell.seen)
    most = [needed_bytes(one.cell.seen, cell.batch_size, one.name == COMMON) for one in variants]
    needed, free = max(most), free_bytes(str(device))
    what = f"{cell.batch_size} x {prompt.visual + prompt.text} tokens"
    if needed > free:
        raise WinnowError(
            f"{what} need about {needed / 1e9:.1f} GB beside the weights, {free / 1e9:.1f} GB are free on {device}: "
            "choose fewer model.frames or a smaller batch_size"
        )
    expected = flops(variants, rounds, encodings) / (EFFICIENCY * machine.flops(model.dtype)) / 60
    if expected > minutes:
        raise WinnowError(
            f"{what}, {len(variants)} methods and {rounds} rounds would take about {expected:.0f} minutes on {device}, "
            f"more than --minutes {minutes:g}: choose fewer model.frames, methods or rounds, or allow more"
        )

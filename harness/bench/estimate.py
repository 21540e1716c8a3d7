"""Refuses what would not fit or would take hours, before it starts, with the estimate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from harness.bench.cells import Variant
from harness.cost.physical import prefill_flops
from harness.cost.shape import LLMShape
from harness.nominal import Nominal, nominal
from harness.schema import ModelConfig
from models.load import free_bytes
from reducers.errors import WinnowError

SIDE = 1024
"""Of the matrices whose product tells the machine's speed."""
EFFICIENCY = 0.5
"""Of a whole model, against products of large matrices."""


def flops(variants: Sequence[Variant], rounds: int, encodings: int) -> float:
    """Floating-point operations of a whole measurement, as planned: every prefill, and the towers."""
    model, batch = variants[0].cell.seen, variants[0].cell.batch_size
    prompt = nominal(model)
    prefills = sum(
        prefill_flops(prompt.shape, [count + prompt.text for count in _plan(variant, prompt)], model.attn)
        for variant in variants
    )
    return batch * (rounds * prefills + encodings * model.frames * tower_flops(model))


def _plan(variant: Variant, prompt: Nominal) -> list[int]:
    full = [prompt.visual] * prompt.shape.layers
    return prompt.plan(variant.built.reducer) if variant.built else full


def tower_flops(model: ModelConfig) -> float:
    """Of one frame in the vision tower, roughly."""
    vision, t = model.arch["vision"], _patches(model)
    h, f = int(vision["hidden"]), int(vision["mlp"])
    return float(vision["layers"]) * (2 * t * (4 * h * h + 2 * h * f) + 4 * t * t * h)


def _patches(model: ModelConfig) -> int:
    vision = model.arch["vision"]
    return (int(vision["image"]) // int(vision["patch"])) ** 2


def needed_bytes(model: ModelConfig, shape: LLMShape, tokens: int, batch: int) -> float:
    """Memory beside the weights at the peak of an unreduced generation, roughly: KV cache and a layer's activations."""
    width = getattr(torch, model.dtype).itemsize
    kv = 2 * shape.layers * shape.kv_heads * shape.head_dim * tokens * width
    layer = tokens * (2 * shape.mlp + 6 * shape.hidden) * width
    scores = 2 * shape.heads * tokens**2 * max(width, 4) if model.attn == "eager" else 0
    vision = model.arch["vision"]
    patches = model.frames * _patches(model)
    tower = patches * (2 * int(vision["mlp"]) + 6 * int(vision["hidden"])) * width
    pixels = model.frames * 3 * int(vision["image"]) ** 2 * 4
    return batch * (max(kv + layer + scores, tower) + pixels)


def speed(device: torch.device, dtype: torch.dtype) -> float:
    """Floating-point operations per second in a product of matrices."""
    side = SIDE if device.type == "cpu" else 8 * SIDE
    a = torch.ones(side, side, device=device, dtype=dtype)
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        float((a @ a)[0, 0])  # waits for the device
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def check(variants: Sequence[Variant], device: torch.device, rounds: int, encodings: int, minutes: float) -> None:
    """Refuse what would not fit or would take too long.

    Raises
    ------
    WinnowError
        Names the estimate and what would be less.
    """
    cell = variants[0].cell
    model, prompt = cell.seen, nominal(cell.seen)
    dtype: Any = getattr(torch, model.dtype)
    needed, free = (
        needed_bytes(model, prompt.shape, prompt.visual + prompt.text, cell.batch_size),
        free_bytes(str(device)),
    )
    what = f"{cell.batch_size} x {prompt.visual + prompt.text} tokens"
    if needed > free:
        raise WinnowError(
            f"{what} need about {needed / 1e9:.1f} GB beside the weights, {free / 1e9:.1f} GB are free on {device}: "
            "choose fewer model.frames or a smaller batch_size"
        )
    expected = flops(variants, rounds, encodings) / (EFFICIENCY * speed(device, dtype)) / 60
    if expected > minutes:
        raise WinnowError(
            f"{what}, {len(variants)} methods and {rounds} rounds would take about {expected:.0f} minutes on {device}, "
            f"more than --minutes {minutes:g}: choose fewer model.frames, methods or rounds, or allow more"
        )

"""Random weights of any shipped architecture: on the meta device anywhere, with real tensors where they fit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn
from transformers import AutoModelForImageTextToText, PretrainedConfig

from winnow.models.families.arch import tiny
from winnow.models.loading.byte_tokenizer import byte_tokenizer
from winnow.reducers.core.errors import WinnowError

if TYPE_CHECKING:
    from winnow.models.families.base import Family
    from winnow.models.loading.spec import ModelSpec


SPREAD = 0.02
"""Standard deviation of what is drawn here, transformers' usual one."""


def random_config(family: Family, spec: ModelSpec) -> PretrainedConfig:
    """Build the configuration of a model with random weights from its architecture numbers."""
    arch = tiny(spec.arch, family.tiny_image) if spec.scale == "tiny" else spec.arch
    tokenizer = byte_tokenizer()
    tokens = {token: tokenizer.convert_tokens_to_ids(token) for token in tokenizer.all_special_tokens}
    config = family.config(arch, tokens)
    config._attn_implementation = spec.attn
    return config


def random_model(config: PretrainedConfig, spec: ModelSpec, device: str) -> nn.Module:
    """Build a model with random weights from a fixed seed; on ``device=meta`` only shapes.

    Raises
    ------
    WinnowError
        If it would not fit; tells the estimate.
    """
    with torch.device("meta"):
        shapes: nn.Module = AutoModelForImageTextToText.from_config(config)
    dtype = getattr(torch, spec.dtype)
    needed = sum(p.numel() for p in shapes.parameters()) * dtype.itemsize
    if device == "meta":
        return shapes.to(dtype).eval()
    free = free_bytes(device)
    if needed > 0.8 * free:
        raise WinnowError(
            f"weights=random needs {needed / 1e9:.1f} GB for {spec.family}, {free / 1e9:.1f} GB are free on {device}: "
            "use model.scale=tiny, model.device=meta or a smaller model"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        with torch.device(device):
            model: nn.Module = AutoModelForImageTextToText.from_config(config, dtype=dtype)
        _draw_constants(model)
    return model.eval()


@torch.no_grad()
def _draw_constants(model: nn.Module) -> None:
    """Draw the matrices that begin with one value, where trained ones do not stay: Gemma 3's projector, positions."""
    for weight in model.parameters():
        if weight.ndim > 1 and bool((weight == weight.flatten()[0]).all()):
            weight.normal_(std=SPREAD)


def free_bytes(device: str) -> int:
    """Memory that is free on a device."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info(device)[0]
    for line in Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else ():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    return 2**63

"""The choices in how a model is loaded: number format, attention, device, quantisation; each refused in one line."""

from __future__ import annotations

import importlib.util
from typing import Any

import torch
from transformers.utils import is_flash_attn_2_available

from winnow.models.families.base import Family
from winnow.models.loading.spec import ATTENTIONS, POSITIONS, QUANTISED, check_choice, check_device_word
from winnow.reducers.core.errors import WinnowError

SPREAD = "spread"
"""The device that stands for all: accelerate lays the layers over the GPUs there are, and the CPU's memory."""


def check_attention(attn: str, dtype: str) -> None:
    """Refuse an attention implementation that is not known, not installed or does not compute in `dtype`."""
    check_choice("model.attn", attn, ATTENTIONS)
    if not attn.startswith("flash"):
        return
    if dtype == "float32":
        raise WinnowError(f"model.attn={attn} computes in half precision only: say model.dtype=bfloat16")
    if not is_flash_attn_2_available():
        raise WinnowError(f"model.attn={attn} needs a CUDA GPU and the package flash-attn: say model.attn=sdpa")


def numbering(family: Family, positions: str | None) -> str | None:
    """Resolve who numbers the prompts of a model: ``trained`` by default where it has M-RoPE, None where it has not.

    Raises
    ------
    WinnowError
        For choices that are not known, or have no meaning.
    """
    if positions is None:
        return POSITIONS[0] if family.mrope else None
    check_choice("model.positions", positions, POSITIONS)
    if not family.mrope:
        raise WinnowError(f"model.positions={positions} has no meaning for {family.name}: leave it out")
    return positions


def check_device(device: str) -> str:
    """Resolve ``auto`` to the GPU if there is one; refuse devices that are not there.

    Raises
    ------
    WinnowError
        Says what is missing.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == SPREAD:
        if importlib.util.find_spec("accelerate") is None:
            raise WinnowError("model.device=spread needs the package accelerate: pip install accelerate")
        return device
    check_device_word(device)
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise WinnowError(f"model.device={device}: torch finds no CUDA GPU here; say model.device=cpu")
    return device


def quantisation(quant: str | None, dtype: torch.dtype) -> Any:
    """Make transformers' configuration of quantised weights; None without.

    Parameters
    ----------
    quant : str or None
        One of `QUANTISED`.
    dtype : torch.dtype
        Of the activations.

    Raises
    ------
    WinnowError
        If the format is not known or its package not installed.
    """
    if quant is None:
        return None
    check_choice("model.quant", quant, ("null", *QUANTISED))
    package = QUANTISED[quant]
    if importlib.util.find_spec(package) is None:
        raise WinnowError(
            f"model.quant={quant} needs the package {package}: pip install {package}, or model.quant=null"
        )
    if package == "bitsandbytes":
        from transformers import BitsAndBytesConfig

        if quant == "bnb-int8":
            return BitsAndBytesConfig(load_in_8bit=True)
        return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    from transformers import TorchAoConfig

    formats: Any = importlib.import_module("torchao.quantization")
    return TorchAoConfig(formats.Int8WeightOnlyConfig() if quant == "torchao-int8" else formats.Int4WeightOnlyConfig())

"""What is to be loaded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from winnow.reducers.core.errors import WinnowError, choose

DTYPES = ("float32", "bfloat16", "float16")
ATTENTIONS = ("sdpa", "eager", "flash_attention_2")
QUANTISED = {
    "bnb-int8": "bitsandbytes",
    "bnb-nf4": "bitsandbytes",
    "torchao-int8": "torchao",
    "torchao-int4": "torchao",
}
"""Quantised formats of weights, with the package that computes them."""
SCALES = ("full", "tiny")
POSITIONS = ("trained", "library")
DEVICES = ("auto", "cpu", "cuda", "cuda:1", "meta", "spread")
DEVICE = re.compile(r"auto|spread|meta|cpu|(cuda|xpu|mps)(:\d+)?")


def check_choice(key: str, value: str, choices: tuple[str, ...]) -> None:
    """Refuse a value that is not among the choices.

    Raises
    ------
    WinnowError
        Lists them.
    """
    if value not in choices:
        raise WinnowError(f"{key}={value} is not known: {choose(value, choices, ' | ')}")


def check_device_word(device: str) -> None:
    """Refuse a word that names no device; whether it is here is another question.

    Raises
    ------
    WinnowError
        Lists what names one.
    """
    if not DEVICE.fullmatch(device):
        raise WinnowError(
            f"model.device={device} is not known: {choose(device.replace('gpu', 'cuda'), DEVICES, ' | ')}"
        )


@dataclass(frozen=True)
class ModelSpec:
    """What to load.

    Parameters
    ----------
    family : str
        Name of the family.
    repo : str
        Hub id, folder, or ``package://winnow/models/pico/weights`` for what ships with Winnow.
    weights : str
        ``pretrained``, ``random`` or a folder with a checkpoint.
    scale : {"full", "tiny"}
        Size of random weights.
    revision : str or None
        Revision on the hub.
    dtype, attn : str
        As transformers names them.
    device : str
        As torch names it; ``auto`` is the GPU if there is one, ``spread`` lays the layers over all of them.
    arch : mapping
        Architecture numbers, for random weights.
    max_pixels : int or None
        Most pixels of a picture and of a video's frame, for families that take pictures of any size; None: as the
        processor has it. ``scale=tiny`` has smaller patches and gets as many tokens.
    pixels : int
        Divides that.
    quant : str or None
        Format of quantised weights, see `QUANTISED`.
    positions : {"trained", "library"} or None
        Whether prompts of a model with M-RoPE are numbered as it was trained, or left to transformers; None: trained.
    own_pruning : bool or None
        Whether a rule of the model's own takes visual tokens away, see `Family.prune_itself`; None: it does not.
    trust_remote_code : str or None
        The repository whose own code may run; must be the one that is loaded.
    """

    family: str
    repo: str
    weights: str = "pretrained"
    scale: str = "full"
    revision: str | None = None
    dtype: str = "float32"
    device: str = "auto"
    attn: str = "sdpa"
    arch: Mapping[str, Any] = field(default_factory=dict)
    max_pixels: int | None = None
    pixels: int = 1
    quant: str | None = None
    positions: str | None = None
    own_pruning: bool | None = None
    trust_remote_code: str | None = None

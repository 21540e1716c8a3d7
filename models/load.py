"""Loading: pretrained weights from a hub or a folder, or random weights of any shipped architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from transformers import ProcessorMixin

from models.axes import DTYPES, SPREAD, check_attention, check_choice, check_device
from models.families import find_family
from models.families.base import Family
from models.llm import tiny
from models.pretrained import pretrained
from models.random_weights import random_config, random_model
from models.tokens import byte_tokenizer
from reducers.errors import WinnowError

SCALES = ("full", "tiny")


@dataclass(frozen=True)
class ModelSpec:
    """What to load.

    Parameters
    ----------
    family : str
        Name of the family.
    repo : str
        Hub id, folder, or ``package://models/pico/weights`` for what ships with Winnow.
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
        Format of quantised weights, see `models.axes.QUANTISED`.
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
    trust_remote_code: str | None = None


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model ready to answer."""

    model: nn.Module
    processor: ProcessorMixin
    family: Family


def load(spec: ModelSpec) -> Loaded:
    """Load a model and its processor.

    Raises
    ------
    WinnowError
        If the weights cannot be had, or would not fit into memory.
    """
    family = find_family(spec.family)
    check_choice("dtype", spec.dtype, DTYPES)
    check_choice("scale", spec.scale, SCALES)
    check_attention(spec.attn, spec.dtype)
    device = check_device(spec.device)
    if spec.weights == "random":
        loaded = _random(family, spec, device)
    else:
        loaded = Loaded(*pretrained(family, spec, device), family)
    if spec.max_pixels or spec.pixels > 1:
        family.cap(loaded.processor, _most_pixels(spec) if family.any_size else spec.max_pixels, spec.pixels)
    return loaded


def _random(family: Family, spec: ModelSpec, device: str) -> Loaded:
    for name, value, allowed in (("device", device, device != SPREAD), ("quant", spec.quant, spec.quant is None)):
        if not allowed:
            raise WinnowError(f"model.{name}={value} is for checkpoints: leave it out with model.weights=random")
    config = random_config(family, spec)
    return Loaded(random_model(config, spec, device), family.processor(config, byte_tokenizer()), family)


def _most_pixels(spec: ModelSpec) -> int | None:
    if spec.max_pixels is None or spec.weights != "random" or spec.scale != "tiny":
        return spec.max_pixels
    full, small = (int(arch["vision"]["patch"]) for arch in (spec.arch, tiny(spec.arch)))
    return spec.max_pixels * small**2 // full**2

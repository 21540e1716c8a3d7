"""Loading: pretrained weights from a hub or a folder, or random weights of any shipped architecture."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, PretrainedConfig, ProcessorMixin

from models.families import find_family, kind_of
from models.families.base import Family
from models.llm import tiny
from models.tokens import byte_tokenizer
from reducers.errors import WinnowError

PACKAGE = "package://"
DTYPES = ("float32", "bfloat16", "float16")


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
    dtype, device, attn : str
        As transformers names them; device ``auto`` is the GPU if there is one.
    arch : mapping
        Architecture numbers, for random weights.
    max_pixels : int or None
        Most pixels of a picture and of a video's frame, for families that take pictures of any size; None: as the
        processor has it. ``scale=tiny`` has smaller patches and gets as many tokens.
    pixels : int
        Divides that.
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
    if spec.dtype not in DTYPES:
        raise WinnowError(f"model.dtype={spec.dtype} is not known: choose {' | '.join(DTYPES)}")
    device = ("cuda" if torch.cuda.is_available() else "cpu") if spec.device == "auto" else spec.device
    if spec.weights == "random":
        config = random_config(family, spec)
        loaded = Loaded(_random_model(config, spec, device), family.processor(config, byte_tokenizer()), family)
    else:
        loaded = _pretrained(family, spec, device)
    if spec.max_pixels or spec.pixels > 1:
        family.cap(loaded.processor, _most_pixels(spec), spec.pixels)
    return loaded


def _most_pixels(spec: ModelSpec) -> int | None:
    if spec.max_pixels is None or spec.weights != "random" or spec.scale != "tiny":
        return spec.max_pixels
    full, small = (int(arch["vision"]["patch"]) for arch in (spec.arch, tiny(spec.arch)))
    return spec.max_pixels * small**2 // full**2


def random_config(family: Family, spec: ModelSpec) -> PretrainedConfig:
    """Build the configuration of a model with random weights from its architecture numbers."""
    arch = tiny(spec.arch, family.tiny_image) if spec.scale == "tiny" else spec.arch
    tokenizer = byte_tokenizer()
    tokens = {token: tokenizer.convert_tokens_to_ids(token) for token in tokenizer.all_special_tokens}
    config = family.config(arch, tokens)
    config._attn_implementation = spec.attn
    return config


def _random_model(config: PretrainedConfig, spec: ModelSpec, device: str) -> nn.Module:
    """Random weights from a fixed seed; on ``device=meta`` only shapes."""
    with torch.device("meta"):
        shapes = AutoModelForImageTextToText.from_config(config)
    dtype = getattr(torch, spec.dtype)
    needed = sum(p.numel() for p in shapes.parameters()) * dtype.itemsize
    if device == "meta":
        return shapes.to(dtype)
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
    return model.eval()


def free_bytes(device: str) -> int:
    """Memory that is free on a device."""
    if device.startswith("cuda"):
        return torch.cuda.mem_get_info()[0]
    for line in Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else ():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    return 2**63


def _pretrained(family: Family, spec: ModelSpec, device: str) -> Loaded:
    """Load safetensors by the plain Auto classes; remote code stays off."""
    source = locate(spec.repo if spec.weights == "pretrained" else spec.weights)
    options: dict[str, Any] = {"revision": spec.revision, "trust_remote_code": False}
    try:
        made = family.load_original(source, spec.revision, getattr(torch, spec.dtype), spec.attn)
        if made is not None:
            return Loaded(made[0].to(device).eval(), made[1], family)
        kind = kind_of(AutoConfig.from_pretrained(source, **options))
        if kind not in family.model_types:
            raise WinnowError(f"{source} holds a model of type '{kind}', but family '{family.name}' was asked for")
        processor = AutoProcessor.from_pretrained(source, **options)
        model = AutoModelForImageTextToText.from_pretrained(
            source, dtype=getattr(torch, spec.dtype), attn_implementation=spec.attn, use_safetensors=True, **options
        )
    except OSError as error:
        raise WinnowError(
            f"cannot load '{source}': neither a folder with a checkpoint nor reachable on the hub. Download it where "
            f"there is a network (hf download {source}) and set HF_HOME, or use model.weights=random"
        ) from error
    processor.tokenizer.padding_side = "left"
    return Loaded(model.to(device).eval(), processor, family)


def locate(repo: str) -> str:
    """Resolve ``package://`` to the folder inside the installed package; anything else stays as it is."""
    if not repo.startswith(PACKAGE):
        return repo
    package, _, inside = repo.removeprefix(PACKAGE).partition("/")
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise WinnowError(f"'{repo}' names no installed package")
    return str(Path(spec.submodule_search_locations[0]) / inside)

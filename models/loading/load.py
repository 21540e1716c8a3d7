"""Loading: pretrained weights from a hub or a folder, or random weights of any shipped architecture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import Any

from torch import nn
from transformers import AutoProcessor, BatchFeature, ProcessorMixin

from winnow.models.families import find_family
from winnow.models.families.arch import tiny
from winnow.models.families.base import Family
from winnow.models.families.mrope import position_ids
from winnow.models.families.prompt import Prompt
from winnow.models.loading.byte_tokenizer import byte_tokenizer
from winnow.models.loading.habits import set_aside
from winnow.models.loading.options import SPREAD, check_attention, check_device, numbering
from winnow.models.loading.pretrained import locate, pretrained
from winnow.models.loading.random_weights import random_config, random_model
from winnow.models.loading.spec import DTYPES, SCALES, ModelSpec, check_choice
from winnow.reducers.core.errors import WinnowError


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model ready to answer.

    Attributes
    ----------
    model : nn.Module
    processor : ProcessorMixin
    family : Family
    positions : str or None
        Who numbers prompts, see `ModelSpec`.
    habits : mapping
        How the checkpoint would have generated, see `set_aside`.
    """

    model: nn.Module
    processor: ProcessorMixin
    family: Family
    positions: str | None = None
    habits: Mapping[str, Any] = field(default_factory=dict)

    def encode(self, prompts: Sequence[Prompt]) -> BatchFeature:
        """Turn prompts into the model's inputs; see `Family.encode`."""
        return self.number(self.family.encode(self.processor, prompts))

    def number(self, inputs: BatchFeature) -> BatchFeature:
        """Add the position ids that the model was trained with, where these are wanted."""
        if self.positions == "trained":
            inputs["position_ids"] = position_ids(self.family, self.family.parts(self.model).outer, inputs)
        return inputs


def load(spec: ModelSpec) -> Loaded:
    """Load a model and its processor.

    Raises
    ------
    WinnowError
        If the weights cannot be had, or would not fit into memory, or a package is missing.
    """
    family = find_family(spec.family)
    _check_packages(family)
    check_choice("model.dtype", spec.dtype, DTYPES)
    check_choice("model.scale", spec.scale, SCALES)
    check_attention(spec.attn, spec.dtype)
    positions, device = numbering(family, spec.positions), check_device(spec.device)
    if spec.weights == "random":
        loaded = Loaded(*_random(family, spec, device), family, positions)
    else:
        loaded = Loaded(*pretrained(family, spec, device), family, positions)
    _cap(family, loaded.processor, spec)
    _prune(family, loaded.processor, spec)
    return replace(loaded, habits=set_aside(loaded.model))


def load_processor(spec: ModelSpec) -> tuple[ProcessorMixin, Family, bool]:
    """Load what prepares prompts, without the weights.

    Returns
    -------
    ProcessorMixin, Family, bool
        Whether it is the checkpoint's own; else, where that is not on this machine, one made from the architecture.

    Raises
    ------
    WinnowError
        For a model of an unknown family.
    """
    family, own = find_family(spec.family), True
    try:
        source = locate(spec.repo if spec.weights == "pretrained" else spec.weights)
        processor = AutoProcessor.from_pretrained(source, revision=spec.revision, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError):
        processor, own = family.processor(random_config(family, spec), byte_tokenizer()), False
    _cap(family, processor, spec)
    _prune(family, processor, spec)
    return processor, family, own


def _check_packages(family: Family) -> None:
    for package in family.requires:
        if find_spec(package) is None:
            raise WinnowError(f"models of the family {family.name} need the package {package}: pip install {package}")


def _cap(family: Family, processor: ProcessorMixin, spec: ModelSpec) -> None:
    """Let pictures be no larger than was asked for."""
    if spec.max_pixels or spec.pixels > 1:
        family.cap(processor, _most_pixels(spec) if family.any_size else spec.max_pixels, spec.pixels)


def _prune(family: Family, processor: ProcessorMixin, spec: ModelSpec) -> None:
    """Let a model's own pruning act where that was asked for, and nowhere else."""
    if spec.own_pruning is not None or family.prunes_itself:
        family.prune_itself(processor, bool(spec.own_pruning))


def _random(family: Family, spec: ModelSpec, device: str) -> tuple[nn.Module, ProcessorMixin]:
    for name, value, allowed in (("device", device, device != SPREAD), ("quant", spec.quant, spec.quant is None)):
        if not allowed:
            raise WinnowError(f"model.{name}={value} is for checkpoints: leave it out with model.weights=random")
    config = random_config(family, spec)
    return random_model(config, spec, device), family.processor(config, byte_tokenizer())


def _most_pixels(spec: ModelSpec) -> int | None:
    if spec.max_pixels is None or spec.weights != "random" or spec.scale != "tiny":
        return spec.max_pixels
    full, small = (int(arch["vision"]["patch"]) for arch in (spec.arch, tiny(spec.arch)))
    return spec.max_pixels * small**2 // full**2

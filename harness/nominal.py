"""What a model looks like before it is loaded: its shapes, and the prompt that budgets and plans are computed for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cost import LLMShape, prefill_flops
from harness.schema import BudgetConfig, ModelConfig
from models.families import find_family
from models.families.base import Family
from models.load import ModelSpec, random_config
from reducers.base import Reducer
from reducers.tower import Tower

SPEC = ("family", "repo", "weights", "scale", "revision", "dtype", "device", "attn", "arch", "max_pixels", "pixels")


def model_spec(model: ModelConfig) -> ModelSpec:
    """What to load, from a model's YAML."""
    return ModelSpec(**{name: getattr(model, name) for name in SPEC})


def llm_shape(model: ModelConfig) -> LLMShape:
    """The LLM's numbers: those of the YAML, shrunk where ``scale=tiny`` shrinks random weights."""
    arch: Mapping[str, Any] = model.arch
    if model.weights == "random" and model.scale == "tiny":
        from models.llm import tiny

        arch = tiny(arch)
    return LLMShape.from_arch(arch)


@dataclass(frozen=True)
class Nominal:
    """The nominal prompt of a model.

    Attributes
    ----------
    family : Family
    shape : LLMShape
    tower : Tower or None
    span : (int, int)
        Frames and visual tokens per frame.
    text : int
        Other tokens.
    mlp_add : bool
        Of the FLOPs convention.
    """

    family: Family
    shape: LLMShape
    tower: Tower | None
    span: tuple[int, int]
    text: int
    mlp_add: bool

    @property
    def visual(self) -> int:
        """Visual tokens."""
        return self.span[0] * self.span[1]

    def plan(self, reducer: Reducer) -> list[int]:
        """Visual tokens that each layer is planned to process."""
        return reducer.plan([self.span], self.shape.layers, self.tower)


def nominal(model: ModelConfig) -> Nominal:
    """Describe a model from its YAML alone."""
    spec = model_spec(model)
    family = find_family(spec.family)
    tower = family.tower(random_config(family, spec))
    prompt = model.nominal
    span = (prompt.frames, prompt.tokens_per_frame)
    return Nominal(family, llm_shape(model), tower, span, prompt.text, model.mlp_add)


def cost_of(
    budget: BudgetConfig, shape: LLMShape, tokens: Sequence[int], visual: Sequence[int], full: int, mlp_add: bool
) -> float | None:
    """Measure a prefill in the unit of a budget; None without a budget or without visual tokens.

    Parameters
    ----------
    budget : BudgetConfig
    shape : LLMShape
    tokens, visual : sequence of int
        Tokens (visual tokens) that each layer processes.
    full : int
        Visual tokens of the unreduced prompt.
    mlp_add : bool
        Of the FLOPs convention.
    """
    if not full:
        return None
    if budget.mean is not None:
        return sum(visual) / len(visual) / full
    if budget.flops is None:
        return None
    whole = [full + tokens[0] - visual[0]] * len(tokens)
    return prefill_flops(shape, tokens, mlp_add) / prefill_flops(shape, whole, mlp_add)

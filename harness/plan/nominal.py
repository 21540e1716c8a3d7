"""What a model looks like before it is loaded: its shapes, and the prompt that budgets and plans are computed for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from winnow.harness.config.schema import BudgetConfig, ModelConfig
from winnow.harness.cost.behind import mlp_tokens
from winnow.harness.cost.physical import prefill_flops
from winnow.harness.cost.shape import LLMShape
from winnow.harness.cost.vision import Linear, TowerShape, projector_from
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from winnow.models.loading.spec import ModelSpec
    from winnow.reducers.core.base import Reducer


def model_spec(model: ModelConfig) -> ModelSpec:
    """What to load, from a model's YAML."""
    from winnow.models.loading.spec import ModelSpec

    return ModelSpec(**{field.name: getattr(model, field.name) for field in fields(ModelSpec)})


def llm_shape(model: ModelConfig) -> LLMShape:
    """The LLM's numbers: those of the YAML, shrunk where ``scale=tiny`` shrinks random weights."""
    return LLMShape.from_arch(_arch(model))


def _arch(model: ModelConfig) -> Mapping[str, Any]:
    if model.weights == "random" and model.scale == "tiny":
        from winnow.models.families import find_family
        from winnow.models.families.arch import tiny

        return tiny(model.arch, find_family(model.family).tiny_image)
    return model.arch


def vision_tower(model: ModelConfig) -> Tower | None:
    """The vision tower as methods see it; None where they cannot act in it: it merges patches, or the YAML says so."""
    vision = _arch(model)["vision"]
    if vision.get("merge") or not vision.get("reducible", True):
        return None
    layers, side = int(vision["layers"]), _side(vision)
    used, full = layers + 1 + int(vision.get("feature_layer", -1)), _side(model.arch["vision"])
    pooled = round(side * math.sqrt(model.nominal.tokens_per_frame) / full)
    return Tower(layers, used, side, side, model.has_cls, pooled**2 if pooled < side else None)


def _side(vision: Mapping[str, Any]) -> int:
    """Patches along one side of the tower's grid."""
    return int(vision["image"]) // int(vision["patch"])


@dataclass(frozen=True)
class Nominal:
    """The nominal prompt of a model, and the shapes that its cost depends on.

    Attributes
    ----------
    shape : LLMShape
    tower : Tower or None
        As methods see it.
    vision : TowerShape
    projector : tuple of Linear
    span : Grid
        Frames and visual tokens per frame.
    text : int
        Other tokens.
    tied : bool
        Whether embedding and LM head share their weights.
    mlp_add : bool
        Of the papers' FLOPs convention.
    attn, dtype : str
        Attention kernel and type of the numbers.
    """

    shape: LLMShape
    tower: Tower | None
    vision: TowerShape
    projector: tuple[Linear, ...]
    span: Grid
    text: int
    tied: bool
    mlp_add: bool
    attn: str
    dtype: str

    @property
    def visual(self) -> int:
        """Visual tokens."""
        return self.span.tokens

    def plan(self, reducer: Reducer) -> list[int]:
        """Visual tokens that each layer is planned to process."""
        return reducer.plan([self.span], self.shape.layers, self.tower)

    def mlp(self, reducer: Reducer | None, visual: Sequence[int]) -> list[int]:
        """Visual tokens that the MLP of each layer processes, of those that enter the layers."""
        return mlp_tokens(reducer, visual, [self.span], self.tower)


def nominal(model: ModelConfig) -> Nominal:
    """Describe a model from its YAML alone."""
    arch, prompt = _arch(model), model.nominal
    return Nominal(
        shape=LLMShape.from_arch(arch),
        tower=vision_tower(model),
        vision=TowerShape.from_arch(arch["vision"], prompt.tokens_per_frame, model.has_cls),
        projector=projector_from(arch, model.pixels),
        span=Grid(prompt.frames, prompt.tokens_per_frame),
        text=prompt.text,
        tied=bool(arch["tied"]),
        mlp_add=model.mlp_add,
        attn=model.attn,
        dtype=model.dtype,
    )


def cost_of(
    budget: BudgetConfig,
    shape: LLMShape,
    tokens: Sequence[int],
    mlp: Sequence[int],
    visual: Sequence[int],
    full: int,
    attn: str,
) -> float | None:
    """Measure a prefill in the unit of a budget; None without a budget or without visual tokens.

    Parameters
    ----------
    budget : BudgetConfig
    shape : LLMShape
    tokens, mlp, visual : sequence of int
        Tokens that enter each layer, those that its MLP processes, and the visual ones that enter it.
    full : int
        Visual tokens of the unreduced prompt.
    attn : str
        The attention kernel.
    """
    if not full:
        return None
    if budget.mean is not None:
        return sum(visual) / len(visual) / full
    if budget.tokens is not None:
        return float(visual[-1])
    if budget.flops is None:
        return None
    whole = [full + tokens[0] - visual[0]] * len(tokens)
    return prefill_flops(shape, tokens, attn, mlp) / prefill_flops(shape, whole, attn)

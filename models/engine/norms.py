"""The norms around a decoder layer's attention and MLP, which families name unlike."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Norms(NamedTuple):
    """Attribute names of a layer's norms; None where there is none."""

    behind_attention: str | None
    before_mlp: str
    behind_mlp: str | None


def scaled(layer: nn.Module, state: Tensor) -> Tensor:
    """What a layer returns for the sum behind its MLP: Gemma 4 scales it."""
    scale: Tensor | None = getattr(layer, "layer_scalar", None)
    return state if scale is None else state * scale


def norms_of(layer: nn.Module) -> Norms:
    """The norms of a layer: Gemma and GLM have some behind attention and MLP too, under names that others use."""
    if hasattr(layer, "pre_feedforward_layernorm"):
        return Norms("post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
    if hasattr(layer, "post_self_attn_layernorm"):
        return Norms("post_self_attn_layernorm", "post_attention_layernorm", "post_mlp_layernorm")
    return Norms(None, "post_attention_layernorm", None)

"""The norms around a decoder layer's attention and MLP, which families name unlike."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor, nn


class Norms(NamedTuple):
    """Attribute names of a layer's norms; None where there is none."""

    behind_attention: str | None
    before_mlp: str
    behind_mlp: str | None


def closed(layer: nn.Module, state: Tensor, fed: Tensor | None = None) -> Tensor:
    """What a layer returns for the sum behind its MLP: Gemma 4 adds to it what the layer is fed, and scales it.

    Parameters
    ----------
    layer : nn.Module
        A decoder layer.
    state : Tensor
        The sum, ``(..., n, width)``.
    fed : Tensor or None
        What the layer is fed of each token besides, ``(..., n, inputs)``.
    """
    inner: Any = layer
    if fed is not None:
        gated = inner.act_fn(inner.per_layer_input_gate(state)) * fed
        state = state + inner.post_per_layer_input_norm(inner.per_layer_projection(gated))
    scale: Tensor | None = getattr(layer, "layer_scalar", None)
    return state if scale is None else state * scale


def norms_of(layer: nn.Module) -> Norms:
    """The norms of a layer: Gemma and GLM have some behind attention and MLP too, under names that others use."""
    if hasattr(layer, "pre_feedforward_layernorm"):
        return Norms("post_attention_layernorm", "pre_feedforward_layernorm", "post_feedforward_layernorm")
    if hasattr(layer, "post_self_attn_layernorm"):
        return Norms("post_self_attn_layernorm", "post_attention_layernorm", "post_mlp_layernorm")
    return Norms(None, "post_attention_layernorm", None)

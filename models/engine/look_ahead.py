"""Looking ahead: the queries and keys of a layer that has not run yet."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from winnow.models.engine.tap import tap
from winnow.models.transformers_api import alone


class _SeenError(Exception):
    """Ends the look-ahead as soon as queries and keys are known."""

    def __init__(self, query: Tensor, key: Tensor, scaling: float) -> None:
        super().__init__()
        self.query, self.key, self.scaling = query, key, scaling


def look_ahead(layer: nn.Module, hidden: Tensor, embeddings: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, float]:
    """Queries, keys and scaling of the attention that `layer` is about to compute on `hidden`.

    The layer's own norm and attention module run up to the attention function and stop there: no cache is touched.

    Parameters
    ----------
    layer : nn.Module
        A decoder layer.
    hidden : Tensor
        Its input, ``(batch, n, width)``.
    embeddings : tuple of Tensor
        Rotary cosine and sine that fit `hidden`.

    Returns
    -------
    tuple
        Query ``(batch, heads, n, head_dim)``, key ``(batch, kv_heads, n, head_dim)``, the logits' scaling.
    """
    inner: Any = layer

    def stop(number: int, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> None:
        raise _SeenError(query, key, scaling)

    with torch.no_grad(), tap({inner.self_attn: 0}, stop):
        try:
            normed = inner.input_layernorm(hidden)
            told = {"position_embeddings": embeddings, "attention_mask": None} | alone(inner.self_attn)
            inner.self_attn(hidden_states=normed, **told)
        except _SeenError as seen:
            return seen.query, seen.key, seen.scaling
    raise RuntimeError(f"{type(layer).__name__} has computed its attention without the attention table")

"""What a prefill leaves in memory, and what it needs at its peak; never to be mixed with the bytes that it moves."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.harness.cost.physical import EAGER
from winnow.harness.cost.shape import LLMShape, check_depth
from winnow.harness.cost.vision import Linear, TowerShape

SOFTMAX_BYTES = 4
"""Eager attention computes its softmax in float32."""


def kv_bytes(shape: LLMShape, tokens_per_layer: Sequence[int], bytes_per_element: float = 2) -> float:
    """Bytes of the KV cache after the prefill: keys and values of every layer's tokens, or the state of a hybrid's.

    Parameters
    ----------
    shape : LLMShape
        The LLM.
    tokens_per_layer : sequence of int
        Tokens, visual and text, that each layer processes; one entry per layer.
    bytes_per_element : float
        2 for half precision, 4 for float32.

    Raises
    ------
    WinnowError
        When the list does not have one entry per layer.
    """
    check_depth(shape, tokens_per_layer)
    return sum(kept_bytes(shape.at(layer), int(n), bytes_per_element) for layer, n in enumerate(tokens_per_layer))


def kept_bytes(shape: LLMShape, n: int, width: float = 2) -> float:
    """Bytes that one layer keeps of `n` tokens; for a layer of a hybrid, or with a window, `LLMShape.at`."""
    return 0.0 if shape.reading else read_bytes(shape, n, width)


def read_bytes(shape: LLMShape, n: int, width: float = 2) -> float:
    """Bytes of what was kept of `n` tokens that one layer reads in a step of decoding, perhaps by another layer."""
    if shape.recurrent and shape.states:
        return shape.states.bytes(width)
    return 2 * shape.kv_heads * shape.head_dim * width * shape.kept(n)


def weight_bytes(
    shape: LLMShape, tied: bool, tower: TowerShape | None = None, projector: Sequence[Linear] = (), width: float = 2
) -> float:
    """Bytes of all weights: the decoder's, LM head and embedding (one matrix where they are tied), tower, projector."""
    count = shape.parameters + shape.tables + shape.hidden * shape.vocab * (1 if tied else 2)
    count += tower.parameters if tower else 0
    return width * (count + sum(layer.inputs * layer.outputs for layer in projector))


def layer_bytes(shape: LLMShape, n: int, attn: str = "sdpa", width: float = 2) -> float:
    """Largest live set of one decoder layer on `n` tokens, its input included, as plain torch modules hold it.

    In the MLP: the residual, its norm, and gate, up and their product, of all experts at once where it is a mixture. In
    attention: residual and norm, queries, keys, values and the output, and with ``eager`` the scores, once as computed
    and once in float32 behind the softmax.
    """
    n = shape.passing(n)
    if shape.recurrent and shape.states:
        return max(shape.states.live(n, shape.hidden, width), width * n * (2 * shape.hidden + 3 * shape.inner))
    inner = n * (2 * shape.heads + 2 * shape.kv_heads) * shape.head_dim
    scores = shape.heads * n * n * (width + SOFTMAX_BYTES) if attn == EAGER else 0.0
    attention = width * (2 * n * shape.hidden + inner) + scores
    return max(attention, width * n * (2 * shape.hidden + 3 * shape.inner))


def block_bytes(shape: TowerShape, frames: int, attn: str = "sdpa", width: float = 2) -> float:
    """Largest live set of one vision block on a prompt's frames, all encoded at once; see `layer_bytes`."""
    tokens = shape.patches + shape.extra
    n, wide = frames * tokens, 3 if shape.gated else 2
    scores = shape.heads * n * tokens * (width + SOFTMAX_BYTES) if attn == EAGER else 0.0
    return max(6 * width * n * shape.hidden + scores, width * n * (2 * shape.hidden + wide * shape.mlp))


def peak_bytes(
    shape: LLMShape,
    tokens_per_layer: Sequence[int],
    weights: float,
    tower: TowerShape | None = None,
    frames: int = 0,
    attn: str = "sdpa",
    width: float = 2,
) -> float:
    """Peak footprint of a prefill: weights and the larger of a vision block, and the cache with the largest layer."""
    layers = (layer_bytes(shape.at(layer), n, attn, width) for layer, n in enumerate(tokens_per_layer))
    llm = max(layers) + kv_bytes(shape, tokens_per_layer, width)
    return weights + max(llm, block_bytes(tower, frames, attn, width) if tower else 0.0)

"""What each layer of an LLM sees of the tokens before: all, a window, a state that they left, or another's keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from winnow.reducers.core.errors import UnsupportedError

FULL, SLIDING, LINEAR = "full_attention", "sliding_attention", "linear_attention"


def windows(config: Any, depth: int) -> list[int | None]:
    """How many tokens back each layer sees, itself included; None: all, or a state.

    Models name their windows by type of layer (Qwen2, Gemma), or by ``sliding_window`` alone, which then holds for
    every layer (Mistral, Mixtral, Phi3, PhiMoE, Starcoder2).

    Raises
    ------
    UnsupportedError
        For layers of other types; names them.
    """
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or [SLIDING if window else FULL] * depth
    if others := sorted(set(kinds) - {FULL, SLIDING, LINEAR}):
        raise UnsupportedError(f"layers of type {others} are not supported: full, sliding and linear attention are")
    return [window if kind == SLIDING else None for kind in kinds]


def both_ways_layers(family: Any, within: Sequence[int | None]) -> frozenset[int]:
    """The layers in which the tokens of a picture see each other both ways; see `Family.both_ways` and `windows`."""
    layers = (layer for layer, window in enumerate(within) if window is not None or not family.both_ways_sliding)
    return frozenset(layers if family.both_ways else ())


def readers(config: Any) -> int:
    """How many layers at the end read the keys of earlier ones (Gemma 4 E2B, E4B)."""
    return getattr(config, "num_kv_shared_layers", None) or 0


def owners(config: Any, depth: int) -> list[int]:
    """Whose keys each layer reads: its own, or those of the last layer of its type that has some."""
    kinds = getattr(config, "layer_types", None) or [FULL] * depth
    own = depth - readers(config)
    last = {kind: layer for layer, kind in enumerate(kinds[:own])}
    return [layer if layer < own else last[kinds[layer]] for layer in range(depth)]


def linear_layers(config: Any, depth: int) -> frozenset[int]:
    """The layers that carry a state from token to token, in place of attention."""
    kinds = getattr(config, "layer_types", None) or [FULL] * depth
    return frozenset(layer for layer, kind in enumerate(kinds) if kind == LINEAR)

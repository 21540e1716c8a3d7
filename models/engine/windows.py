"""Which layers of an LLM see only a sliding window of tokens."""

from __future__ import annotations

from typing import Any

from winnow.reducers.core.errors import UnsupportedError


def windows(config: Any, depth: int) -> list[int | None]:
    """How many tokens back each layer sees, itself included; None: all.

    Models name their windows by type of layer (Qwen2, Gemma), or by ``sliding_window`` alone, which then holds for
    every layer (Mistral, Mixtral, Phi3, PhiMoE, Starcoder2).

    Raises
    ------
    UnsupportedError
        For layers that are neither; names them.
    """
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None) or ["sliding_attention" if window else "full_attention"] * depth
    others = sorted(set(kinds) - {"full_attention", "sliding_attention"})
    if others:
        raise UnsupportedError(f"layers of type {others} are not supported: only full and sliding attention are")
    return [window if kind == "sliding_attention" else None for kind in kinds]

"""Layers that see a window of tokens, and each so many-th that sees everything, perhaps through heads of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sliding:
    """The pattern of an LLM's layers.

    Attributes
    ----------
    window, every : int
        Tokens that a sliding layer sees, and keeps; each so many-th layer sees everything.
    kv_heads, head_dim : int
        Key-value heads of those that do, and the width of a head; 0: as of the others. Where their number is their own,
        values are made of keys; where their width is, the last layer is one of them (Gemma 4).
    """

    window: int
    every: int
    kv_heads: int = 0
    head_dim: int = 0

    @classmethod
    def from_arch(cls, arch: Mapping[str, Any]) -> Sliding | None:
        """Read ``sliding_window``, ``sliding_pattern`` and ``full``; None where no layer slides."""
        full = arch.get("full", {})
        if not full and "sliding_pattern" not in arch:
            return None
        window, every = (int(arch.get(f"sliding_{name}", usual)) for name, usual in (("window", 512), ("pattern", 3)))
        return cls(window, every, **{name: int(number) for name, number in full.items()})

    def sees_all(self, layer: int, layers: int) -> bool:
        """Whether one of so many layers does."""
        return (layer + 1) % self.every == 0 or bool(self.head_dim and layer == layers - 1)

"""The numbers of an LLM that its cost depends on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LLMShape:
    """Shape of a decoder-only LLM with a gated MLP.

    Attributes
    ----------
    layers, hidden, heads, kv_heads, head_dim, mlp, vocab : int
        Depth, model width, query heads, key-value heads, width of a head, width of the MLP, entries of the vocabulary.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocab: int

    @classmethod
    def from_arch(cls, arch: Mapping[str, Any]) -> "LLMShape":
        """Build a shape from the `arch` block of a model's YAML; `head_dim` defaults to `hidden / heads`."""
        names = ("layers", "hidden", "heads", "kv_heads", "mlp", "vocab")
        numbers = {name: int(arch[name]) for name in names}
        return cls(**numbers, head_dim=int(arch.get("head_dim") or numbers["hidden"] // numbers["heads"]))

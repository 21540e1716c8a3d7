"""Gemma 4 E2B and E4B: tower, prompts and films of Gemma 4, and an LLM that saves keys and computing.

Hugging Face `gemma4`. Each layer is fed an embedding of its own of each token besides what the layer before returns.
The last layers make no keys and values: each reads those of the last layer of its type that does, and from transformers
5.18 on of a prompt's tokens the last one alone passes through them. Pictures attend one way, in all layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from winnow.models.families.arch import TINY_INPUT
from winnow.models.families.gemma4 import Gemma4
from winnow.models.families.support import readers_of


class Gemma4E(Gemma4):
    """See the module."""

    name = "gemma4_e"
    model_types = ("gemma4_e",)
    both_ways = False
    both_ways_sliding = False
    shared_keys = True
    fed = True

    def text(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
        """See `Gemma4.text`."""
        layers = int(arch["layers"])
        return super().text(arch, tokens) | {
            "hidden_size_per_layer_input": arch.get("layer_input", TINY_INPUT),
            "num_kv_shared_layers": arch.get("shared_layers", readers_of(self.shared_keys, layers)),
            "use_double_wide_mlp": bool(arch.get("wide_readers", False)),
            "attention_k_eq_v": False,
            "use_bidirectional_attention": None,
        }

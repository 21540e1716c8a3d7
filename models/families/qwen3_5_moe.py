"""Qwen3.5 with a mixture of experts in each layer of its LLM: all else is that of Qwen3.5.

Hugging Face `qwen3_5_moe`. In Qwen3.5-35B-A3B a router sends each token through 8 of 256 experts of width 512, and all
tokens through a gated one more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from transformers import PretrainedConfig, Qwen3_5MoeConfig

from winnow.models.families.qwen3_5 import Qwen35


class Qwen35Moe(Qwen35):
    """See the module."""

    name = "qwen3_5_moe"
    model_types = ("qwen3_5_moe",)
    config_class: ClassVar[Callable[..., PretrainedConfig]] = Qwen3_5MoeConfig

    def text_numbers(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
        """See `Qwen35.text_numbers`; every layer is a mixture."""
        numbers = super().text_numbers(arch, tokens) | {
            "num_experts": arch.get("experts", 4),
            "num_experts_per_tok": arch.get("experts_per_token", 2),
            "moe_intermediate_size": arch.get("expert_mlp", 32),
            "shared_expert_intermediate_size": arch.get("shared_mlp", 32),
        }
        del numbers["intermediate_size"]
        return numbers

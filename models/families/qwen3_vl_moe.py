"""Qwen3-VL with a mixture of experts in each layer of its LLM: tower, tokens and deepstack are those of Qwen3-VL.

Hugging Face `qwen3_vl_moe`. In Qwen3-VL-30B-A3B a router sends each token through 8 of 128 experts of width 768.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from transformers import PretrainedConfig, Qwen3VLMoeConfig

from winnow.models.families.qwen3_vl import Qwen3VL


class Qwen3VLMoe(Qwen3VL):
    """See the module."""

    name = "qwen3_vl_moe"
    model_types = ("qwen3_vl_moe",)
    config_class: ClassVar[Callable[..., PretrainedConfig]] = Qwen3VLMoeConfig

    def text_numbers(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
        """See `Qwen3VL.text_numbers`; every layer is a mixture."""
        return super().text_numbers(arch, tokens) | {
            "num_experts": arch.get("experts", 4),
            "num_experts_per_tok": arch.get("experts_per_token", 2),
            "moe_intermediate_size": arch.get("expert_mlp", 32),
            "decoder_sparse_step": 1,
        }

"""GLM-4.6V with a mixture of experts in the layers of its LLM behind the first: all else is that of GLM-4.6V.

Hugging Face `glm4v_moe`, 106 billion weights, the LLM of GLM-4.5-Air: a router sends each token through 8 of 128
experts of width 1408, and all tokens through one more. Norms stand before attention and MLP alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from transformers import Glm4vMoeConfig, PretrainedConfig

from winnow.models.families.glm46v import Glm46v


class Glm4vMoe(Glm46v):
    """See the module."""

    name = "glm4v_moe"
    model_types = ("glm4v_moe",)
    config_class: ClassVar[Callable[..., PretrainedConfig]] = Glm4vMoeConfig

    def text_numbers(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
        """See `Glm4v.text_numbers`; heads may be wider than their part of the hidden states."""
        return super().text_numbers(arch, tokens) | {
            "head_dim": arch.get("head_dim", arch["hidden"] // arch["heads"]),
            "n_routed_experts": arch.get("experts", 4),
            "num_experts_per_tok": arch.get("experts_per_token", 2),
            "moe_intermediate_size": arch.get("expert_mlp", 32),
            "n_shared_experts": 1,
            "first_k_dense_replace": arch.get("dense_layers", 1),
        }

"""Qwen3.5: Qwen3-VL's tower and layout without deepstack, and a hybrid LLM.

Hugging Face `qwen3_5`. Each fourth layer has attention, with gated queries and RoPE on a quarter of each head; the
others carry a recurrent state and a short convolution from token to token (gated delta rule). A token that is dropped
before a layer is absent from what that layer, and every later one, carries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from transformers import PretrainedConfig, Qwen3_5Config

from winnow.models.families.qwen2_vl import sized_tower
from winnow.models.families.qwen3_vl import Qwen3VL

SMALL = {"key_heads": 2, "value_heads": 4, "key_dim": 8, "value_dim": 8, "kernel": 4}
"""Linear attention of a model for tests."""
ROTARY = 0.75
"""Share of a head that turns there, so that few frequencies are enough for time, height and width."""


class Qwen35(Qwen3VL):
    """See the module."""

    name = "qwen3_5"
    model_types = ("qwen3_5",)
    deepstack = False
    full_every = 4
    config_class: ClassVar[Callable[..., PretrainedConfig]] = Qwen3_5Config
    told: ClassVar[Mapping[str, Any]] = {"enable_thinking": False}

    def text_numbers(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
        """See `Qwen2VL.text_numbers`; of 32 frequencies 11, 11 and 10, interleaved."""
        head, linear = arch.get("head_dim", arch["hidden"] // arch["heads"]), arch.get("linear", SMALL)
        rotary = arch.get("rotary", ROTARY)
        turning = int(head * rotary) // 2
        height, width = (turning + 1) // 3, turning // 3
        rope = {
            "rope_type": "default",
            "rope_theta": 1e7,
            "partial_rotary_factor": rotary,
            "mrope_section": [turning - height - width, height, width],
            "mrope_interleaved": True,
        }
        kinds = ["linear_attention"] * (self.full_every - 1) + ["full_attention"]
        return super().text_numbers(arch, tokens) | {
            "head_dim": head,
            "rope_parameters": rope,
            "layer_types": [kinds[layer % self.full_every] for layer in range(arch["layers"])],
            "linear_num_key_heads": linear["key_heads"],
            "linear_num_value_heads": linear["value_heads"],
            "linear_key_head_dim": linear["key_dim"],
            "linear_value_head_dim": linear["value_dim"],
            "linear_conv_kernel_dim": linear["kernel"],
        }

    def vision_numbers(self, arch: Mapping[str, Any]) -> dict[str, Any]:
        """See `Qwen2VL.vision_numbers`."""
        vision = arch["vision"]
        return sized_tower(arch) | {"num_position_embeddings": (vision["image"] // vision["patch"]) ** 2}

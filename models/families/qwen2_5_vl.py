"""Qwen2.5-VL: Qwen2-VL with a gated tower that attends in windows, and temporal positions that follow the clock.

Hugging Face `qwen2_5_vl`. Tokens and grid are those of Qwen2-VL: a temporal step of two frames of H x W pixels gives
``(H / 28) * (W / 28)`` tokens. Four of 32 tower blocks attend to the whole frame, the others inside windows of
112 x 112 pixels. A step's temporal position is ``tokens_per_second`` times the whole seconds between steps, as
transformers 4.57.6 and 5.17 count them; 5.23 counts fractions of seconds too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from transformers import PretrainedConfig, Qwen2_5_VLConfig

from winnow.models.families.qwen2_vl import Qwen2VL, sized_tower


class Qwen25VL(Qwen2VL):
    """See the module."""

    name = "qwen2_5_vl"
    model_types = ("qwen2_5_vl",)
    no_pixels = "its blocks attend in windows of whole pictures"
    config_class: ClassVar[Callable[..., PretrainedConfig]] = Qwen2_5_VLConfig
    processors: ClassVar[tuple[str, str]] = ("Qwen2_5_VLProcessor", "Qwen2VLVideoProcessor")

    def apart(self, config: Any, seconds: float) -> int:
        """See `Qwen2VL.apart`."""
        return int(seconds) * int(config.vision_config.tokens_per_second)

    def vision_numbers(self, arch: Mapping[str, Any]) -> dict[str, Any]:
        """See `Qwen2VL.vision_numbers`."""
        vision = arch["vision"]
        return sized_tower(arch) | {
            "window_size": vision.get("window", 4 * vision["patch"]),
            "fullatt_block_indexes": list(vision.get("full_layers", [1])),
            "tokens_per_second": 2,
        }

"""LongVA (CLIP tower with CLS, 2x2 average behind the projector, Qwen2 with a long context).

EvolvingLMMs-Lab/LongVA, `longva/longva/model/llava_arch.py`, `get_2dPool` with ``mm_spatial_pool_mode=average`` and
stride 2 (as lmms-eval runs it): 24x24 to 12x12 = 144 tokens a frame and no newline, 32 frames are 4608, 128 are 18432.
A still picture is one tile, as one frame is; the original cuts large pictures into several.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from winnow.models.families.composed import Composed

if TYPE_CHECKING:
    from winnow.models.convert.original import Original


class LongVA(Composed):
    """See the module."""

    name = "longva"
    model_types = ("longva",)
    cls = True
    tiny_image = 24
    structure: ClassVar[dict[str, Any]] = {"vision_feature_layer": -2, "pool": 2}

    def original(self) -> Original:
        """See `Composed.original`."""
        from winnow.models.convert.llava_qwen import ORIGINAL

        return ORIGINAL

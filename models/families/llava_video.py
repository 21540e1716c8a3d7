"""LLaVA-Video (SigLIP tower, 2x2 average behind the projector, a newline behind each row of each frame).

LLaVA-VL/LLaVA-NeXT, `llava/model/llava_arch.py`: `get_2dPool` with stride 2 and ``mm_spatial_pool_mode=average`` (as
lmms-eval runs it; bilinear would give 14x14) leaves 13x13 = 169 of 27x27 patches, `add_token_per_grid`
(``mm_newline_position=grid``) makes that 13 x 14 = 182 tokens a frame. The newlines are separators.
A still picture is a video of one frame; the original cuts it into tiles: for pictures use LLaVA-OneVision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from winnow.models.families.composed import Composed

if TYPE_CHECKING:
    from winnow.models.convert.original import Original


class LlavaVideo(Composed):
    """See the module."""

    name = "llava_video"
    model_types = ("llava_video",)
    tower_kind = "siglip"
    tiny_image = 24
    structure: ClassVar[dict[str, Any]] = {"vision_feature_layer": -1, "pool": 2, "newline": True}

    def original(self) -> Original:
        """See `Composed.original`."""
        from winnow.models.convert.llava_qwen import ORIGINAL

        return ORIGINAL

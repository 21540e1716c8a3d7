"""PLLaVA (CLIP tower with CLS, 2x2 average behind the projector, always 16 frames).

magic-research/PLLaVA, `models/pllava/modeling_pllava.py`: projector, then ``AdaptiveAvgPool3d((16, 12, 12))``. Its
frames are always 16 (an image, or a video of fewer frames, is repeated), so that this is a 2x2 average in each frame:
24x24 to 12x12 = 144 tokens, 16 x 144 = 2304. The original repeats features where Winnow repeats pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from winnow.models.families.composed import Composed

if TYPE_CHECKING:
    from winnow.models.convert.original import Original


class Pllava(Composed):
    """See the module."""

    name = "pllava"
    model_types = ("pllava",)
    cls = True
    tiny_image = 24
    structure: ClassVar[dict[str, Any]] = {"vision_feature_layer": -2, "pool": 2}
    fixed_frames = 16

    def original(self) -> Original:
        """See `Composed.original`."""
        from winnow.models.convert.pllava import ORIGINAL

        return ORIGINAL

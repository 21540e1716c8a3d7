"""VILA1.5 (2x2 patches joined by channel in the projector, a line break between frames).

NVlabs/VILA, `llava/model/multimodal_projector/base_projector.py`, ``mlp_downsample``: SigLIP's 27x27 patches get a
border of zeros and become 14x14 = 196 tokens a frame, 8 frames are 1568; with the InternViT of VILA1.5-40B 32x32
become 16x16 = 256. The prompt holds ``<image>`` and a line break for each frame (`llava/eval/run_vila.py`), so that the
frames of a video are no contiguous run. The original leaves the joined grid transposed: rows of its grid go down the
picture's columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from winnow.models.families.composed import Composed

if TYPE_CHECKING:
    from winnow.models.convert.original import Original


class Vila(Composed):
    """See the module."""

    name = "vila"
    model_types = ("vila",)
    tower_kind = "siglip"
    structure: ClassVar[dict[str, Any]] = {"vision_feature_layer": -1, "downsample": True}
    between = "\n"
    no_tower: ClassVar[str] = "its projector joins 2x2 patches, so that vectors that are no grid cannot pass it"

    def original(self) -> Original:
        """See `Composed.original`."""
        from winnow.models.convert.vila import ORIGINAL

        return ORIGINAL

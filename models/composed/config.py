"""The configuration of a composed model."""

from __future__ import annotations

from typing import Any, ClassVar

from transformers import AutoConfig, PreTrainedConfig


class ComposedConfig(PreTrainedConfig):
    """What the parts are and how the vectors go from one to the next.

    Parameters
    ----------
    family : str
        Name of the family, see `winnow.models.families`.
    vision_config, text_config
        Of the tower (CLIP, SigLIP or InternViT) and of the LLM (Llama or Qwen2).
    vision_feature_layer : int
        Which hidden states of the tower are the features, -1 being those behind its last block.
    downsample : bool
        Whether the projector joins 2x2 patches by channel, behind a border of zeros where the grid is odd (VILA).
    pool : int
        Side of the windows that are averaged behind the projector; what does not fill a window is left out.
    newline : bool
        Whether a learned vector closes each row of a frame (LLaVA-Video).
    image_token_id : int
        Stands for each visual vector and newline in the prompt; may lie beyond the vocabulary.
    note : str
        What nobody could verify of converted weights.
    """

    model_type = "winnow_composed"
    sub_configs: ClassVar[dict[str, Any]] = {"vision_config": AutoConfig, "text_config": AutoConfig}

    family: str = ""
    vision_config: Any = None
    text_config: Any = None
    vision_feature_layer: int = -1
    downsample: bool = False
    pool: int = 1
    newline: bool = False
    image_token_id: int = 0
    tie_word_embeddings: bool = False
    note: str = ""

    def __post_init__(self, **kwargs: Any) -> None:
        """Make configurations of what a file holds as mappings."""
        for name in self.sub_configs:
            part = getattr(self, name)
            if part is None or isinstance(part, dict):
                made = AutoConfig.for_model(**({"model_type": DEFAULTS[name]} | (part or {})))
                setattr(self, name, made)
        super().__post_init__(**kwargs)

    @property
    def patches(self) -> int:
        """Patches along one side of a frame."""
        size, patch = (
            value[0] if isinstance(value, list | tuple) else value
            for value in (self.vision_config.image_size, self.vision_config.patch_size)
        )
        return int(size) // int(patch)

    @property
    def side(self) -> int:
        """Visual tokens along one side of a frame."""
        return -(-self.patches // 2) if self.downsample else self.patches // self.pool

    @property
    def tokens_per_frame(self) -> int:
        """Placeholders of a frame, newlines included."""
        return self.side * (self.side + int(self.newline))


DEFAULTS = {"vision_config": "clip_vision_model", "text_config": "llama"}

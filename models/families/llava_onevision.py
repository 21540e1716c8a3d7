"""LLaVA-OneVision (SigLIP tower without CLS, 2x2 pooling of video, any-resolution images).

Hugging Face `llava_onevision`. Video: 27x27 patches are resized to 14x14 = 196 tokens a frame, one newline token closes
the video: 32 frames give 6272 + 1. Image: the 27x27 base view, then the unpadded grid of tiles, a newline behind each
row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, LlavaOnevisionConfig, PretrainedConfig, ProcessorMixin, SiglipVisionConfig

from winnow.models.families.anyres import Piece, image_pieces, lay, tile_grid
from winnow.models.families.arch import llm_config, vit_numbers
from winnow.models.families.base import Family
from winnow.models.families.llava import CHAT_TEMPLATE, question
from winnow.models.families.prompt import Prompt
from winnow.models.transformers_api import encoded
from winnow.reducers.core.layout import Layout, Span


class LlavaOnevision(Family):
    """See the module."""

    name = "llava_onevision"
    model_types = ("llava_onevision",)

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`."""
        images, videos = _images(outer, inputs), _videos(outer.config, inputs)
        return [lay(ids, outer.config, images, videos) for ids in prompts]

    def pooled_slots(self, config: PretrainedConfig) -> int:
        """See `Family.pooled_slots`: 2x2 pooling of video, 27x27 to 14x14."""
        return _pooled_side(config) ** 2

    def encode(self, processor: ProcessorMixin, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`."""
        texts = [question(processor, prompt) for prompt in prompts]
        images = [prompt.images for prompt in prompts if prompt.images] or None
        videos = [video for prompt in prompts for video in prompt.videos] or None
        return processor(text=texts, images=images, videos=videos, padding=True, return_tensors="pt")

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`; the tower's last layer and head are left out, as in the released checkpoints."""
        tower = SiglipVisionConfig(**vit_numbers(arch), vision_use_head=False)
        side = arch["vision"]["image"]
        return LlavaOnevisionConfig(
            vision_config=tower,
            text_config=llm_config(arch, tokens),
            image_token_id=tokens["<image>"],
            video_token_id=tokens["<video>"],
            image_grid_pinpoints=[[side * rows, side * cols] for rows in range(1, 7) for cols in range(1, 7)],
            tie_word_embeddings=arch["tied"],
        )

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import LlavaOnevisionImageProcessor, LlavaOnevisionProcessor, LlavaOnevisionVideoProcessor

        side = config.vision_config.image_size
        size = {"height": side, "width": side}
        return LlavaOnevisionProcessor(
            LlavaOnevisionImageProcessor(size=size, image_grid_pinpoints=config.image_grid_pinpoints),
            tokenizer,
            LlavaOnevisionVideoProcessor(size=size),
            num_image_tokens=(side // config.vision_config.patch_size) ** 2,
            vision_feature_select_strategy="full",
            chat_template=CHAT_TEMPLATE,
        )


def _videos(config: PretrainedConfig, inputs: Mapping[str, Any]) -> Iterator[Piece]:
    """One piece per video, in the order of the batch; `generate` may have encoded the pixels beforehand."""
    side = _pooled_side(config)
    pixels, made = inputs.get("pixel_values_videos"), encoded(inputs, "video")
    if pixels is not None:
        videos, frames = pixels.shape[:2]
    elif made is not None:
        videos, frames = len(made.pooler_output), made.pooler_output.shape[1] // side**2
    else:
        return
    tokens = frames * side * side
    for _ in range(videos):
        yield tokens + 1, [Span(torch.arange(tokens), frames, side, side)], [tokens]


def _pooled_side(config: PretrainedConfig) -> int:
    return math.ceil(config.vision_config.image_size // config.vision_config.patch_size / 2)


def _images(outer: Any, inputs: Mapping[str, Any]) -> Iterator[Piece]:
    """One piece per image, in the order of the batch; several images in a prompt are not tiled."""
    config, numbers = outer.config, inputs.get("batch_num_images")
    side = config.vision_config.image_size // config.vision_config.patch_size
    together = [] if numbers is None else [int(n) for n in numbers for _ in range(int(n))]

    def tiles(number: int, size: Tensor) -> tuple[int, int]:
        return _tiles(config, size, side) if not together or together[number] == 1 else (1, 0)

    return image_pieces(outer, inputs, tiles)


def _tiles(config: PretrainedConfig, size: Tensor, side: int) -> tuple[int, int]:
    """Rows and columns of an image's tile grid once its padding is cut off and its size capped."""
    rows, cols = tile_grid(config, size)
    most = int(config.vision_aspect_ratio.removeprefix("anyres_max_"))
    excess = math.sqrt(rows * cols / (most * side**2))
    return (int(rows // excess), int(cols // excess)) if excess > 1.1 else (rows, cols)

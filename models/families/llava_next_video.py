"""LLaVA-NeXT-Video (CLIP tower, 2x2 average pooling of video before a pointwise projector, any-resolution images).

Hugging Face `llava_next_video`, 336 pixels, patches of 14. Video: 24x24 patches are pooled to 12x12 = 144 tokens a
frame, without newlines: 16 frames are 2304. Image: the 24x24 base view, then the unpadded grid of tiles, a newline
behind each row; tiled also where a prompt has several.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, CLIPVisionConfig, LlavaNextVideoConfig, PretrainedConfig, ProcessorMixin

from winnow.models.families.anyres import Piece, image_pieces, lay, pinpoints
from winnow.models.families.arch import llm_config, vit_numbers
from winnow.models.families.base import Family
from winnow.models.families.llava import CHAT_TEMPLATE, encode_pictures
from winnow.models.families.prompt import Prompt
from winnow.models.transformers_api import encoded
from winnow.reducers.core.layout import Layout, Span


class LlavaNextVideo(Family):
    """See the module."""

    name = "llava_next_video"
    model_types = ("llava_next_video",)
    cls = True
    pooling = "vision_resampler"
    tiny_image = 24

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`."""
        images, videos = image_pieces(outer, inputs), _videos(outer.config, inputs)
        return [lay(ids, outer.config, images, videos) for ids in prompts]

    def pooled_slots(self, config: PretrainedConfig) -> int:
        """See `Family.pooled_slots`: 24x24 to 12x12."""
        return _pooled_side(config) ** 2

    def encode(self, processor: ProcessorMixin, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`."""
        return encode_pictures(processor, prompts)

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`; five shapes of tile grids, as in the released checkpoints."""
        return LlavaNextVideoConfig(
            vision_config=CLIPVisionConfig(**vit_numbers(arch)),
            text_config=llm_config(arch, tokens),
            image_token_index=tokens["<image>"],
            video_token_index=tokens["<video>"],
            image_grid_pinpoints=pinpoints(arch["vision"]["image"]),
            tie_word_embeddings=arch["tied"],
        )

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import LlavaNextImageProcessor, LlavaNextVideoProcessor, LlavaNextVideoVideoProcessor

        side = config.vision_config.image_size
        size = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
        return LlavaNextVideoProcessor(
            LlavaNextVideoVideoProcessor(**size),
            LlavaNextImageProcessor(**size, image_grid_pinpoints=config.image_grid_pinpoints),
            tokenizer,
            patch_size=config.vision_config.patch_size,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=CHAT_TEMPLATE,
        )


def _videos(config: PretrainedConfig, inputs: Mapping[str, Any]) -> Iterator[Piece]:
    """One piece per video, in the order of the batch."""
    side = _pooled_side(config)
    pixels, made = inputs.get("pixel_values_videos"), encoded(inputs, "video")
    frames = [] if pixels is None else [pixels.shape[1]] * pixels.shape[0]
    if made is not None:
        frames = [len(features) // side**2 for features in made.pooler_output]
    for number in frames:
        yield number * side**2, [Span(torch.arange(number * side**2), number, side, side)], []


def _pooled_side(config: PretrainedConfig) -> int:
    return int(config.vision_config.image_size // config.vision_config.patch_size // config.spatial_pool_stride)

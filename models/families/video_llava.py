"""Video-LLaVA (LanguageBind's CLIP towers, one for images and one for videos, pointwise projector).

Hugging Face `video_llava`, 224 pixels, patches of 14. An image gives 16x16 = 256 tokens, without CLS. Each frame of a
video gives 257, its CLS token in front: 8 frames are 2056 placeholders. That CLS has no place in the frame's grid, so
it is a separator here, neither dropped nor merged, and 8 x 256 = 2048 tokens are visual, which is what the papers count
(VTW's code withdraws all 257). Methods that act in the tower work on both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    BatchFeature,
    CLIPVisionConfig,
    PretrainedConfig,
    ProcessorMixin,
    VideoLlavaConfig,
    VideoLlavaForConditionalGeneration,
)

from winnow.models.families.arch import llm_config, vit_numbers
from winnow.models.families.base import Family, Parts, runs
from winnow.models.families.llava import CHAT_TEMPLATE, encode_pictures
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span

NAMED = (
    {"images_kwargs": {"return_legacy_image_output": False}}
    if "pixel_values" in signature(VideoLlavaForConditionalGeneration.forward).parameters
    else {}
)
"""The images' pixels are `pixel_values_images` in transformers 5.17, `pixel_values` in 5.23."""


class VideoLlava(Family):
    """See the module."""

    name = "video_llava"
    model_types = ("video_llava",)
    cls = True
    video_cls = True

    def parts(self, model: nn.Module) -> Parts:
        """See `Family.parts`."""
        outer: Any = model.model
        llm, image, video = outer.language_model, outer.image_tower, outer.video_tower
        blocks, projector = image.encoder.layers, outer.multi_modal_projector
        return Parts(outer, llm, llm.layers, image, blocks, projector, video, video.encoder.layers)

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`; images (or videos) without a token between them are one span."""
        side = outer.config.vision_config.image_size // outer.config.vision_config.patch_size
        return [_layout(ids, outer.config, side) for ids in prompts]

    def encode(self, processor: ProcessorMixin, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`."""
        return encode_pictures(processor, prompts, **NAMED)

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        return VideoLlavaConfig(
            vision_config=CLIPVisionConfig(**vit_numbers(arch)),
            text_config=llm_config(arch, tokens),
            image_token_index=tokens["<image>"],
            video_token_index=tokens["<video>"],
            tie_word_embeddings=arch["tied"],
        )

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import VideoLlavaImageProcessor, VideoLlavaProcessor, VideoLlavaVideoProcessor

        side = config.vision_config.image_size
        size = {"size": {"shortest_edge": side}, "crop_size": {"height": side, "width": side}}
        return VideoLlavaProcessor(
            VideoLlavaImageProcessor(**size),
            VideoLlavaVideoProcessor(**size),
            tokenizer,
            patch_size=config.vision_config.patch_size,
            chat_template=CHAT_TEMPLATE,
        )


def _layout(ids: Tensor, config: PretrainedConfig, side: int) -> Layout:
    spans: list[Span] = []
    separators: list[Tensor] = []
    for tower, token in enumerate((config.image_token_id, config.video_token_id)):
        for start, stop in runs(ids == token):
            frames, rest = divmod(stop - start, side * side + tower)
            if rest:
                raise WinnowError(f"{stop - start} placeholder tokens are no multiple of the {side}x{side} of a frame")
            places = torch.arange(start, stop).view(frames, -1)
            spans.append(Span(places[:, tower:].flatten(), frames, side, side, tower))
            separators.append(places[:, :tower].flatten())
    spans.sort(key=lambda span: int(span.positions[0]))
    return Layout(len(ids), tuple(spans), torch.cat(separators).sort().values if separators else ids[:0])

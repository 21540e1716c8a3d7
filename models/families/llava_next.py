"""LLaVA-NeXT (LLaVA-1.6: CLIP tower, pointwise projector, any-resolution pictures).

Hugging Face `llava_next`, 336 pixels, patches of 14: the 24x24 base view of the whole picture, then its grid of 2 to 4
tiles without its padding, a newline behind each row; tiled also where a prompt has several pictures. A square picture
of more than 336 pixels gives 576 + 48x48 = 2880 tokens and 48 newlines, a smaller one 1152 and 24. The model was made
for pictures; each frame of a video is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import CLIPVisionConfig, LlavaNextConfig, PretrainedConfig, ProcessorMixin
from transformers.models.llava_next.modeling_llava_next import image_size_to_num_patches

from winnow.models.families.anyres import image_pieces, lay, pinpoints, tile_patches
from winnow.models.families.arch import llm_config, vit_numbers
from winnow.models.families.llava import CHAT_TEMPLATE, Llava
from winnow.reducers.core.layout import Layout, Span


class LlavaNext(Llava):
    """See the module."""

    name = "llava_next"
    model_types = ("llava_next",)
    tiny_image = 24

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`."""
        images = image_pieces(outer, inputs)
        found = [lay(ids, outer.config, images) for ids in prompts]
        return [replace(x, spans=tuple(_tiled(span, outer.config) for span in x.spans)) for x in found]

    def pixels(self, inputs: Mapping[str, Any], tower: int = 0) -> Tensor:
        """See `Family.pixels`; pictures of fewer tiles are padded with empty ones, which the tower does not see."""
        views = inputs["pixel_values"]
        side = views.shape[-1]
        numbers = [image_size_to_num_patches(size, pinpoints(side), side) for size in inputs["image_sizes"]]
        return torch.cat([picture[:number] for picture, number in zip(views, numbers, strict=True)])

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        return LlavaNextConfig(
            vision_config=CLIPVisionConfig(**vit_numbers(arch)),
            text_config=llm_config(arch, tokens),
            image_token_index=tokens["<image>"],
            image_grid_pinpoints=pinpoints(arch["vision"]["image"]),
            tie_word_embeddings=arch["tied"],
        )

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import LlavaNextImageProcessor, LlavaNextProcessor

        side = config.vision_config.image_size
        return LlavaNextProcessor(
            LlavaNextImageProcessor(
                size={"shortest_edge": side},
                crop_size={"height": side, "width": side},
                image_grid_pinpoints=config.image_grid_pinpoints,
            ),
            tokenizer,
            patch_size=config.vision_config.patch_size,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=CHAT_TEMPLATE,
        )


def _tiled(span: Span, config: PretrainedConfig) -> Span:
    """Tell where the patches of a picture's tiles stand."""
    if not span.view:
        return span
    pixels = config.vision_config.image_size
    grids = [(height // pixels, width // pixels) for height, width in config.image_grid_pinpoints]
    side = pixels // config.vision_config.patch_size
    return replace(span, patches=tile_patches(side, span.rows, span.cols, grids))

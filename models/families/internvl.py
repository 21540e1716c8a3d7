"""InternVL3 (InternViT tower, 2x2 pixel shuffle before the projector, Qwen2.5).

Hugging Face `internvl`, 448 pixels, patches of 14: 32x32 patches become 16x16 = 256 tokens a tile. An image is cut into
up to 12 tiles and a thumbnail, each a span of its own between one start and one end token. A video frame is one tile;
the text between frames (``</img>``, a line feed, ``Frame2: <img>``) separates them, and all frames are one span: 32
give 8192 tokens. Images and frames share one placeholder token, so a video is told by that text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BatchFeature, InternVLConfig, InternVLVisionConfig, PretrainedConfig, ProcessorMixin

from winnow.models.families.arch import llm_config, vit_numbers
from winnow.models.families.base import Family, Parts, runs
from winnow.models.families.llava import CHAT_TEMPLATE, encode_pictures
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span

BARE = 3
"""Tokens between two images of the chat template: end token, line feed, start token; a frame's label adds to them."""


class InternVL(Family):
    """See the module."""

    name = "internvl"
    model_types = ("internvl",)
    cls = True
    tiny_image = 24
    no_tower = "its projector joins 2x2 patches, so that vectors that are no grid cannot pass it"

    def parts(self, model: nn.Module) -> Parts:
        """See `Family.parts`."""
        outer: Any = model.model
        llm, tower = outer.language_model, outer.vision_tower
        return Parts(outer, llm, llm.layers, tower, tower.encoder.layer, outer.multi_modal_projector)

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`."""
        vision = outer.config.vision_config
        side = int(vision.image_size[0] // vision.patch_size[0] * outer.config.downsample_ratio)
        return [_layout(ids, outer.config.image_token_id, side) for ids in prompts]

    def encode(self, processor: ProcessorMixin, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`."""
        return encode_pictures(processor, prompts)

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        numbers = vit_numbers(arch)
        return InternVLConfig(
            vision_config=InternVLVisionConfig(**numbers, attention_bias=True),
            text_config=llm_config(arch, tokens),
            image_token_id=tokens["<image>"],
            image_seq_length=(numbers["image_size"] // numbers["patch_size"] // 2) ** 2,
            tie_word_embeddings=arch["tied"],
        )

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import GotOcr2ImageProcessor, InternVLProcessor, InternVLVideoProcessor

        height, width = config.vision_config.image_size
        size = {"height": height, "width": width}
        return InternVLProcessor(
            GotOcr2ImageProcessor(size=size, crop_to_patches=True, min_patches=1, max_patches=12),
            tokenizer,
            InternVLVideoProcessor(size=size),
            image_seq_length=config.image_seq_length,
            chat_template=CHAT_TEMPLATE,
        )


def _layout(ids: Tensor, token: int, side: int) -> Layout:
    spans: list[Span] = []
    separators: list[Tensor] = []
    for frames in _videos(ids, runs(ids == token), side * side):
        places = [torch.arange(start, stop) for start, stop in frames]
        tiles, rest = divmod(len(places[0]), side * side)
        if rest:
            raise WinnowError(f"{len(places[0])} image tokens are no multiple of the {side}x{side} of one tile")
        if len(places) > 1:
            spans.append(Span(torch.cat(places), len(places), side, side))
            separators += [torch.arange(stop, start) for (_, stop), (start, _) in pairwise(frames)]
        else:
            spans += [Span(tile, 1, side, side, view=view) for view, tile in enumerate(places[0].chunk(tiles))]
    return Layout(len(ids), tuple(spans), torch.cat(separators) if separators else ids[:0])


def _videos(ids: Tensor, found: Sequence[tuple[int, int]], tile: int) -> Iterator[list[tuple[int, int]]]:
    """Group runs of placeholders: the frames of a video together, an image alone.

    A frame follows another if a label stands between them (``Frame2: ``) that begins and ends like the one in front of
    the video's first frame (``Frame1: ``).
    """
    group: list[tuple[int, int]] = []
    for start, stop in found:
        if group and not (stop - start == tile and _labelled(ids, group, start, tile)):
            yield group
            group = []
        group.append((start, stop))
    if group:
        yield group


def _labelled(ids: Tensor, group: Sequence[tuple[int, int]], start: int, tile: int) -> bool:
    """Whether the run at `start` is the next frame of the video that `group` has begun."""
    first, second = group[0], group[1][0] if len(group) > 1 else start
    length = second - first[1] - BARE + 1
    if first[1] - first[0] != tile or not 2 <= length <= first[0]:
        return False
    opening, label = ids[first[0] - length : first[0]], ids[group[-1][1] + BARE - 1 : start]
    return len(label) >= length and torch.equal(opening[[0, -2, -1]], label[[0, -2, -1]])

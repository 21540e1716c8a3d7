"""SmolVLM2 (SigLIP tower, pixel shuffle before a linear connector, SmolLM2).

Hugging Face `smolvlm`. The 2.2B model sees 384 pixels in patches of 14: 27x27 patches become 9x9 = 81 tokens a tile;
the 500M model 512 pixels in patches of 16: 8x8 = 64. Every picture, a small one too, is scaled to four tiles on its
longer side; the tiles are spans of their own, row by row, the whole picture the last one: 17 of a square. A video frame
is one tile with the time written before it, and all frames are one span. Frames and whole pictures stand behind one and
the same mark, tiles behind marks of their own: that is how a layout tells them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import BatchFeature, PretrainedConfig, ProcessorMixin, SmolVLMConfig
from transformers.models.smolvlm.configuration_smolvlm import SmolVLMVisionConfig

from winnow.models.families.arch import llm_config, vit_numbers
from winnow.models.families.base import Family, Parts, fill, prepared_film, runs
from winnow.models.families.llava import CHAT_TEMPLATE, question
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span

TILES = 4
"""Tiles along the longer side of a picture."""

EDGE = 3
"""Tokens at either end of what stands between two frames by which it is known."""

Run = tuple[int, int]
"""Start and stop of the tokens of one tile or frame."""


class SmolVLM(Family):
    """See the module."""

    name = "smolvlm"
    model_types = ("smolvlm",)
    requires = ("num2words",)
    tiny_image = 24
    no_tower = "its connector joins squares of patches, so that vectors that are no grid cannot pass it"

    def parts(self, model: nn.Module) -> Parts:
        """See `Family.parts`."""
        outer: Any = model.model
        llm, tower = outer.text_model, outer.vision_model
        return Parts(outer, llm, llm.layers, tower, tower.encoder.layers, outer.connector)

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`."""
        config = outer.config
        side = config.vision_config.image_size // config.vision_config.patch_size // config.scale_factor
        return [_layout(ids, config.image_token_id, side) for ids in prompts]

    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`.

        The processor takes pictures or videos, and keeps the pixels of the videos alone where a call has both; so each
        is prepared by itself. The model takes the tiles and frames of a prompt in order, padded with black ones.
        """
        texts, tiles = zip(*(_written(processor, prompt) for prompt in prompts), strict=True)
        made = processor.tokenizer(list(texts), padding=True, return_tensors="pt")
        inputs = BatchFeature({name: made[name] for name in ("input_ids", "attention_mask")})
        if any(map(len, tiles)):
            inputs["pixel_values"] = pad_sequence(list(tiles), batch_first=True)
        return inputs

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        return SmolVLMConfig(
            vision_config=SmolVLMVisionConfig(**vit_numbers(arch)),
            text_config=llm_config(arch, tokens),
            image_token_id=tokens["<image>"],
            scale_factor=arch["vision"].get("shuffle", 2),
            tie_word_embeddings=arch["tied"],
        )

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import SmolVLMImageProcessor, SmolVLMProcessor, SmolVLMVideoProcessor

        side = config.vision_config.image_size
        sizes = {"size": {"longest_edge": TILES * side}, "max_image_size": {"longest_edge": side}}
        return SmolVLMProcessor(
            SmolVLMImageProcessor(**sizes),
            tokenizer,
            SmolVLMVideoProcessor(**sizes),
            image_seq_len=(side // config.vision_config.patch_size // config.scale_factor) ** 2,
            chat_template=CHAT_TEMPLATE,
        )


def _written(processor: Any, prompt: Prompt) -> tuple[str, Tensor]:
    """A prompt's text with all placeholders, and its tiles and frames, ``(tiles, 3, side, side)``."""
    side = processor.image_processor.max_image_size["longest_edge"]
    tiles, pictures, films = [torch.zeros(0, 3, side, side)], list[str](), list[str]()
    if prompt.images:
        made = processor.image_processor([prompt.images], return_row_col_info=True, return_tensors="pt")
        tiles.append(made["pixel_values"][0])
        pictures = [processor.replace_image_token(made, number) for number in range(len(prompt.images))]
    for video, clock in zip(prompt.videos, prompt.clocks, strict=True):
        made = prepared_film(processor, video, clock)
        tiles.append(made["pixel_values"][0])
        films.append(processor.replace_video_token(made, 0))
    text = fill(question(processor, prompt), processor.image_token, pictures)
    return fill(text, processor.video_token, films), torch.cat(tiles)


def _layout(ids: Tensor, token: int, side: int) -> Layout:
    spans: list[Span] = []
    separators: list[Tensor] = []
    for group in _pictures(ids, runs(ids == token)):
        places = [torch.arange(start, stop) for start, stop in group]
        if any(len(tile) != side * side for tile in places):
            found = [len(tile) for tile in places]
            raise WinnowError(f"{found} image tokens are not the {side}x{side} of one tile each")
        if ids[group[0][0] - 1] == ids[group[-1][0] - 1]:  # no tiles before a whole picture, but frames
            spans.append(Span(torch.cat(places), len(places), side, side))
            separators += [torch.arange(stop, start) for (_, stop), (start, _) in pairwise(group)]
        else:
            spans += [Span(tile, 1, side, side, view=view) for view, tile in enumerate(places)]
    return Layout(len(ids), tuple(spans), torch.cat(separators) if separators else ids[:0])


def _pictures(ids: Tensor, found: Sequence[Run]) -> Iterator[list[Run]]:
    """Group runs of placeholders: the tiles of a picture with the whole of it, and the frames of a video.

    The mark in front of the last run of all is that of whole pictures and of frames.
    """
    whole = ids[found[-1][0] - 1] if found else None
    group: list[Run] = []
    tiles = False
    for start, stop in found:
        tile = bool(ids[start - 1] != whole)
        if group and not tiles and (tile or not _same_film(ids, group, start)):
            yield group
            group = []
        group.append((start, stop))
        if tiles and not tile:
            yield group
            group = []
        tiles = tile
    if group:
        yield group


def _same_film(ids: Tensor, group: Sequence[Run], start: int) -> bool:
    """Whether the frame at `start` is of the video that `group` has begun.

    A frame follows another if what stands between them (``<fake_token_around_image>``, a line feed, ``Frame from
    00:01:``, two marks) begins and ends like as much in front of the first one, but for the mark that ends a picture:
    that would stand before the introduction of a video which follows another.
    """
    first, label = group[0][0], ids[group[-1][1] : start]
    if not EDGE < len(label) <= first:
        return False
    front = ids[first - len(label) : first]
    same = torch.equal(front[1:EDGE], label[1:EDGE]) and torch.equal(front[-EDGE:], label[-EDGE:])
    return same and bool(front[0] != label[0])

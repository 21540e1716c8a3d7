"""Gemma 3 (SigLIP tower, 4x4 average pooling before the projector, sliding layers, pictures that attend both ways).

Hugging Face `gemma3`, 896 pixels, patches of 14: 64x64 patches become 16x16 = 256 tokens, whatever the picture's size.
Five of six layers see a window (1024 tokens back). The tokens of a picture see each other, also those behind them,
which the model learns from ``token_type_ids`` alone. It was made for pictures; each frame of a video is one. Pictures
that follow each other without text between them are the frames of one video.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from math import isqrt
from typing import Any

import torch
from torch import Tensor
from transformers import (
    BatchFeature,
    Gemma3Config,
    Gemma3TextConfig,
    PretrainedConfig,
    ProcessorMixin,
    SiglipVisionConfig,
)

from winnow.models.families.arch import vit_numbers
from winnow.models.families.base import Family, fill, runs
from winnow.models.families.llava import chat
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span

BEGIN, END = "<|begin_of_image|>", "<|end_of_image|>"
"""Marks of a picture, for random weights."""


class Gemma3(Family):
    """See the module."""

    name = "gemma3"
    model_types = ("gemma3",)
    both_ways = True
    tiny_image = 24
    no_tower = "its projector pools squares of patches, so that vectors that are no grid cannot pass it"

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`."""
        return [
            _layout(ids, outer.config.image_token_index, isqrt(outer.config.mm_tokens_per_image)) for ids in prompts
        ]

    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`; a video is written as its frames, one picture each, and no picture is cropped."""
        texts, pictures = [], []
        for prompt in prompts:
            frames = [*prompt.images, *(frame for video in prompt.videos for frame in video)]
            content = [*({"type": "image"} for _ in frames), {"type": "text", "text": prompt.text}]
            texts.append(
                fill(chat(processor, content), processor.boi_token, [processor.full_image_sequence] * len(frames))
            )
            pictures += frames
        twice = str(texts[0]).startswith(processor.tokenizer.bos_token)  # the released template writes it too
        made = processor.tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=not twice)
        inputs = BatchFeature({name: made[name] for name in ("input_ids", "attention_mask")})
        inputs["token_type_ids"] = (inputs["input_ids"] == processor.tokenizer.image_token_id).long()
        if pictures:
            told = {"do_pan_and_scan": False, "do_convert_rgb": True}
            inputs["pixel_values"] = processor.image_processor(pictures, return_tensors="pt", **told)["pixel_values"]
        return inputs

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        vision = vit_numbers(arch)
        return Gemma3Config(
            vision_config=SiglipVisionConfig(**vision, vision_use_head=False),
            text_config=Gemma3TextConfig(**_text_numbers(arch, tokens)),
            mm_tokens_per_image=(vision["image_size"] // vision["patch_size"] // arch["vision"].get("pool", 2)) ** 2,
            image_token_index=tokens["<image>"],
            boi_token_index=tokens[BEGIN],
            eoi_token_index=tokens[END],
            tie_word_embeddings=arch["tied"],
        )

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import Gemma3ImageProcessor, Gemma3Processor

        side = config.vision_config.image_size
        marks = {"image_token": "<image>", "boi_token": BEGIN, "eoi_token": END}
        for name, token in marks.items():
            setattr(tokenizer, name, token)
            setattr(tokenizer, f"{name}_id", tokenizer.convert_tokens_to_ids(token))
        tokenizer.init_kwargs |= marks  # what a saved one remembers
        return Gemma3Processor(
            Gemma3ImageProcessor(size={"height": side, "width": side}),
            tokenizer,
            chat_template=CHAT_TEMPLATE,
            image_seq_length=config.mm_tokens_per_image,
        )


CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ' ' }}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] + ' ' }}{% else %}{{ '" + BEGIN + "' }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'assistant ' }}{% endif %}"
)
"""The template of models with random weights; trained models bring their own."""


def _text_numbers(arch: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
    """The LLM's configuration."""
    head = arch.get("head_dim", arch["hidden"] // arch["heads"])
    return {
        "vocab_size": max(arch["vocab"], max(tokens.values()) + 1),
        "hidden_size": arch["hidden"],
        "intermediate_size": arch["mlp"],
        "num_hidden_layers": arch["layers"],
        "num_attention_heads": arch["heads"],
        "num_key_value_heads": arch["kv_heads"],
        "head_dim": head,
        "query_pre_attn_scalar": arch.get("query_scale", head),
        "sliding_window": arch.get("sliding_window", 512),
        "sliding_window_pattern": arch.get("sliding_pattern", 3),
        "pad_token_id": tokens["<pad>"],
        "bos_token_id": tokens["<s>"],
        "eos_token_id": tokens["</s>"],
    }


def _layout(ids: Tensor, token: int, side: int) -> Layout:
    spans: list[Span] = []
    separators: list[Tensor] = []
    for frames in _films(ids, runs(ids == token)):
        places = [torch.arange(start, stop) for start, stop in frames]
        if any(len(frame) != side * side for frame in places):
            found = [len(frame) for frame in places]
            raise WinnowError(f"{found} image tokens are not the {side}x{side} of one picture each")
        spans.append(Span(torch.cat(places), len(places), side, side))
        separators += [torch.arange(stop, start) for (_, stop), (start, _) in pairwise(frames)]
    return Layout(len(ids), tuple(spans), torch.cat(separators) if separators else ids[:0])


def _films(ids: Tensor, found: Sequence[tuple[int, int]]) -> Iterator[list[tuple[int, int]]]:
    """Group pictures between which, but for their marks, nothing stands but line feeds: one token, or several alike."""
    group: list[tuple[int, int]] = []
    for start, stop in found:
        if group and len(ids[group[-1][1] + 1 : start - 1].unique()) > 1:
            yield group
            group = []
        group.append((start, stop))
    if group:
        yield group

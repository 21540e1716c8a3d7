"""MiniCPM-V 4.6 (SigLIP whose patches are merged 2x2 behind its seventh block and once more at its end, Qwen3.5's LLM).

Hugging Face `minicpmv4_6`. A picture is shown whole, at some 448 x 448 pixels, and, where it is larger, in up to nine
slices of as many; 4x4 patches of 14 pixels become one token, so that a square view has 64. Each view is a span of its
own, the whole picture the first one. A frame of a film is one view, and all frames are one span. Positions are counted
one by one, though the LLM has room for three.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import BatchFeature, MiniCPMV4_6Config, PretrainedConfig, ProcessorMixin
from transformers.models.minicpmv4_6 import modeling_minicpmv4_6

from winnow.models.families.arch import vit_numbers
from winnow.models.families.base import Family, Parts, fill, runs
from winnow.models.families.llava import CHAT_TEMPLATE, question
from winnow.models.families.prompt import Prompt
from winnow.models.families.qwen3_5 import Qwen35
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Layout, Span

ALIKE = hasattr(modeling_minicpmv4_6, "get_vision_merged_shape")
"""Whether the installed version takes all views of a batch to be of one size, as 5.17 does."""
MERGED = 4
"""Patches along one side of a token."""
MARKS = {"image_start": "<|vision_start|>", "image_end": "<|vision_end|>", "slice_start": "<|begin_of_image|>"}
MARKS |= {"slice_end": "<|end_of_image|>", "image_id_start": "<|begin_of_video|>", "image_id_end": "<|end_of_video|>"}
"""What stands around views and numbers of pictures, for random weights."""


class MiniCPMV46(Family):
    """See the module."""

    name = "minicpmv4_6"
    model_types = ("minicpmv4_6",)
    full_every = 4
    tiny_image = 48
    sizes = ("target_sizes", "target_sizes_videos")
    packed = True
    told: ClassVar[Mapping[str, Any]] = {"enable_thinking": False}
    no_tower = "its tower merges squares of patches half way up, so that vectors that are no grid cannot pass it"

    def parts(self, model: nn.Module) -> Parts:
        """See `Family.parts`."""
        outer: Any = model.model
        llm, tower = outer.language_model, outer.vision_tower
        return Parts(outer, llm, llm.layers, tower, tower.encoder.layers, outer.merger)

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`."""
        sizes = [inputs.get(name) for name in self.sizes]
        known = [size for size in sizes if size is not None]
        if ALIKE and known and len(torch.cat(known).unique(dim=0)) > 1:
            raise UnsupportedError(
                "this version of transformers takes all pictures of MiniCPM-V 4.6 to be of one size: give one prompt "
                "at a time with views alike, or install transformers>=5.23"
            )
        config = outer.config
        tokens = (config.image_token_id, config.video_token_id)
        given = {token: _grids(size) for token, size in zip(tokens, sizes, strict=True)}
        return [_layout(ids, given, config.video_token_id) for ids in prompts]

    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`; pictures are numbered and sliced, frames are neither."""
        texts, made = list[str](), dict[str, list[Tensor]]()
        for prompt in prompts:
            text = question(processor, prompt, **self.told)
            stills = [processor.image_processor([image], return_tensors="pt") for image in prompt.images]
            films = [_film(processor, video) for video in prompt.videos]
            written = [_picture(processor, one, number) for number, one in enumerate(stills)]
            text = fill(text, processor.image_token, written)
            divisor = {"video_token_divisor": processor.video_token_divisor}
            written = [processor.replace_video_token(one, 0, **divisor) for one in films]
            texts.append(fill(text, processor.video_token, written))
            for one in (*stills, *films):
                for name in PIXELS & one.keys():
                    made.setdefault(name, []).append(one[name])
        told = processor.tokenizer(texts, padding=True, return_tensors="pt")
        inputs = BatchFeature({name: told[name] for name in ("input_ids", "attention_mask")})
        for name, values in made.items():  # all pictures are one row of patches
            inputs[name] = torch.cat(values, 0 if name in self.sizes else -1)
        return inputs

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        text = Qwen35().text_numbers(arch, tokens) | {"tie_word_embeddings": arch["tied"]}
        return MiniCPMV4_6Config(
            text_config={"model_type": "qwen3_5_text", **text},
            vision_config=vit_numbers(arch),
            insert_layer_id=arch["vision"].get("merged_after", 2) - 1,
            image_token_id=tokens["<image>"],
            video_token_id=tokens["<video>"],
            tie_word_embeddings=arch["tied"],
        )

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import MiniCPMV4_6ImageProcessor, MiniCPMV4_6Processor, MiniCPMV4_6VideoProcessor

        vision = config.vision_config
        view = {"patch_size": vision.patch_size, "scale_resolution": min(448, vision.image_size)}
        marks = {"image": "<image>", "video": "<video>"} | MARKS
        for name, token in marks.items():
            setattr(tokenizer, f"{name}_token", token)
            setattr(tokenizer, f"{name}_token_id", tokenizer.convert_tokens_to_ids(token))
        tokenizer.init_kwargs |= {f"{name}_token": token for name, token in marks.items()}  # what a saved one remembers
        made: ProcessorMixin = MiniCPMV4_6Processor(
            MiniCPMV4_6ImageProcessor(**view), MiniCPMV4_6VideoProcessor(**view), tokenizer, chat_template=CHAT_TEMPLATE
        )
        return made


PIXELS = {"pixel_values", "target_sizes", "pixel_values_videos", "target_sizes_videos"}
"""What the model takes of what the processors make."""


def _picture(processor: Any, made: BatchFeature, number: int) -> str:
    """A picture in words, with its number where the release has one."""
    told = {"image_token_divisor": processor.image_token_divisor}
    text = str(processor.replace_image_token(made, 0, **told))
    if not processor.default_use_image_id:
        return text
    return f"{processor.image_id_start_token}{number}{processor.image_id_end_token}{text}"


def _film(processor: Any, film: Any) -> BatchFeature:
    """A film prepared, of which no frame is sampled away or sliced."""
    made: BatchFeature = processor.video_processor(
        [film], do_sample_frames=False, slice_mode=False, return_tensors="pt"
    )
    return made


def _grids(sizes: Tensor | None) -> Iterator[tuple[int, int]]:
    """Rows and columns of tokens of each view, from those of its patches, ``(views, 2)``."""
    return ((rows // MERGED, cols // MERGED) for rows, cols in ([] if sizes is None else sizes.tolist()))


def _layout(ids: Tensor, given: Mapping[int, Iterator[tuple[int, int]]], film: int) -> Layout:
    """Frames and whole pictures stand behind one and the same mark, that of the first of all; slices behind another."""
    spans, last = list[Span](), -1
    found = sorted(run for token in given for run in runs(ids == token))
    whole = ids[found[0][0] - 1] if found else None
    for start, stop in found:
        token, begins = int(ids[start]), bool(ids[start - 1] == whole)
        rows, cols = next(given[token], (0, 0))
        if rows * cols != stop - start:
            raise WinnowError(f"{stop - start} placeholder tokens do not fit the pictures given: {rows} x {cols}")
        places, frames = torch.arange(start, stop), 1
        if spans and begins and token == film and start == last + 2 and spans[-1].grid[1:3] == (len(places), cols):
            before = spans.pop()
            places, frames = torch.cat([before.positions, places]), before.frames + 1
        view = 0 if begins else spans[-1].view + 1
        spans.append(Span(places, frames, rows, cols, view=view, film=token == film))
        last = stop
    return Layout(len(ids), tuple(spans))

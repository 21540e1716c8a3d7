"""Qwen3-VL: Qwen2-VL's layout with the time written between frames, deepstack, and an LLM with QK-norm.

Hugging Face `qwen3_vl`. A temporal step of two frames of H x W pixels gives ``(H / 32) * (W / 32)`` tokens and stands
as ``<1.5 seconds>``, vision start, tokens, vision end. The steps of one video are one span of frames x rows x columns,
whose positions leave the text between them out. Tower features of three depths are added to the visual tokens behind
the first three LLM layers; a merged token gets the mean of its members' features, with the weights of the merge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from transformers import PretrainedConfig, Qwen3VLConfig

from winnow.models.families.prompt import Prompt
from winnow.models.families.qwen2_vl import Qwen2VL, sized_tower
from winnow.models.transformers_api import encoded
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span


class Qwen3VL(Qwen2VL):
    """See the module."""

    name = "qwen3_vl"
    model_types = ("qwen3_vl",)
    deepstack = True
    config_class: ClassVar[Callable[..., PretrainedConfig]] = Qwen3VLConfig
    processors: ClassVar[tuple[str, str]] = ("Qwen3VLProcessor", "Qwen3VLVideoProcessor")

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`; each temporal step is a run of tokens of its own, `_join` makes videos of them."""
        films = inputs.get("video_grid_thw")
        steps = None if films is None else films.repeat_interleave(films[:, 0], 0).clone()
        if steps is not None:
            steps[:, 0] = 1
        found = super().layouts(outer, prompts, {**inputs, "video_grid_thw": steps})
        lengths = iter(_lengths(inputs, outer.config.vision_config.spatial_merge_size))
        token = outer.config.video_token_id
        return [replace(x, spans=tuple(_join(x, ids == token, lengths))) for x, ids in zip(found, prompts, strict=True)]

    def text(self, processor: Any, prompt: Prompt) -> str:
        """See `Qwen2VL.text`.

        The processor of transformers 5 writes vision start and end around each temporal step, but leaves those that the
        template has put around the video. They go, as they did in transformers 4.57, with which the model came out.
        """
        video = processor.video_token
        marked = f"{processor.vision_start_token}{video}{processor.vision_end_token}"
        return super().text(processor, prompt).replace(marked, video)

    def text_numbers(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
        """See `Qwen2VL.text_numbers`; of 64 frequencies 24, 20 and 20, interleaved."""
        head = arch.get("head_dim", arch["hidden"] // arch["heads"])
        space = 5 * head // 32
        rope = {
            "rope_type": "default",
            "rope_theta": 5e6,
            "mrope_section": [head // 2 - 2 * space, space, space],
            "mrope_interleaved": True,
        }
        return super().text_numbers(arch, tokens) | {"head_dim": head, "rope_parameters": rope}

    def vision_numbers(self, arch: Mapping[str, Any]) -> dict[str, Any]:
        """See `Qwen2VL.vision_numbers`."""
        vision = arch["vision"]
        return sized_tower(arch) | {
            "num_position_embeddings": (vision["image"] // vision["patch"]) ** 2,
            "deepstack_visual_indexes": list(vision.get("deepstack", [0, 1, 2])),
        }

    def cap(self, processor: Any, most: int | None, by: int) -> None:
        """See `Family.cap`; the video processor counts the pixels of all frames, and caps a frame by its tokens."""
        super().cap(processor, most, by)
        video, longest = processor.video_processor, processor.image_processor.size["longest_edge"]
        token = (video.patch_size * video.merge_size) ** 2
        video.size = {"shortest_edge": token, "longest_edge": longest * video.max_frames}
        video.max_video_tokens, video.cap_pixels_per_frame = max(1, longest // token), True


def _lengths(inputs: Mapping[str, Any], merge: int) -> list[int]:
    """Visual tokens of each video, from patch counts or from features that `generate` encoded beforehand."""
    made = encoded(inputs, "video")
    if made is not None:
        return [len(features) for features in made.pooler_output]
    sizes = inputs.get("video_grid_thw")
    return [] if sizes is None else (sizes.prod(-1) // merge**2).tolist()


def _join(layout: Layout, video: Tensor, lengths: Iterator[int]) -> Iterator[Span]:
    """Put the temporal steps of each video together; images stay as they are."""
    steps: list[Span] = []
    missing = 0
    for span in layout.spans:
        if not bool(video[span.positions[0]]):
            yield span
            continue
        missing = (missing or next(lengths, 0)) - len(span)
        steps.append(span)
        if missing < 0 or span.grid != steps[0].grid:
            raise WinnowError(f"a video's {len(span)} placeholder tokens do not fit the pictures given")
        if not missing:
            places = torch.cat([step.positions for step in steps])
            yield Span(places, len(steps), span.rows, span.cols, film=True)
            steps = []
    if steps:
        raise WinnowError(f"a video ends {missing} placeholder tokens early")

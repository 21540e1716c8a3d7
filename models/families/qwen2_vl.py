"""Qwen2-VL (own tower without CLS, 2x2 patch merger, M-RoPE).

Hugging Face `qwen2_vl`. Two frames make one temporal step; a step of H x W pixels gives ``(H / 28) * (W / 28)`` tokens,
so 32 frames capped at 256 tokens a step are 16 x 256 = 4096. Vision start and end tokens stand around each picture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import BatchFeature, PretrainedConfig, ProcessorMixin, Qwen2VLConfig

from winnow.models.families.base import Family, Parts, runs
from winnow.models.families.llava import question
from winnow.models.families.mrope import spread
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span


class Qwen2VL(Family):
    """See the module."""

    name = "qwen2_vl"
    model_types = ("qwen2_vl",)
    mrope = True
    any_size = True
    no_pixels: ClassVar[str] = ""
    no_tower: ClassVar[str] = "its merger joins 2x2 patches, so that vectors that are no grid cannot pass it"
    config_class: ClassVar[Callable[..., PretrainedConfig]] = Qwen2VLConfig
    processors: ClassVar[tuple[str, str]] = ("Qwen2VLProcessor", "Qwen2VLVideoProcessor")

    def parts(self, model: nn.Module) -> Parts:
        """See `Family.parts`."""
        outer: Any = model.model
        llm, tower = outer.language_model, outer.visual
        return Parts(outer, llm, llm.layers, tower, tower.blocks, tower.merger)

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`; the grids are read off the three-dimensional position ids, or off ``*_grid_thw``."""
        config, positions = outer.config, inputs.get("position_ids")
        grids = {
            token: iter(_grids(inputs.get(f"{kind}_grid_thw"), config.vision_config.spatial_merge_size))
            for kind, token in (("image", config.image_token_id), ("video", config.video_token_id))
        }
        layouts = []
        for b, ids in enumerate(prompts):
            places = None if positions is None or positions.ndim < 3 else positions[-3:, b, -len(ids) :].cpu()
            spans = []
            for token, given in grids.items():
                for start, stop in runs(ids == token):
                    grid = next(given, None) if places is None else _from_positions(places[:, start:stop])
                    spans.append(_span(start, stop, grid, token == config.video_token_id))
            layouts.append(Layout(len(ids), tuple(sorted(spans, key=lambda span: int(span.positions[0])))))
        return layouts

    def positions(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Tensor]:
        """See `Family.positions`."""
        given = inputs.get("second_per_grid_ts")
        seconds, made = iter([] if given is None else given), []
        for ids, layout in zip(prompts, self.layouts(outer, prompts, {**inputs, "position_ids": None}), strict=True):
            films = [bool(ids[span.positions[0]] == outer.config.video_token_id) for span in layout.spans]
            made.append(spread(layout, [self.apart(outer.config, next(seconds, 1)) if film else 1 for film in films]))
        return made

    def apart(self, config: Any, seconds: float) -> int:
        """How far apart two temporal steps of a film stand that are so many seconds apart."""
        return 1

    def encode(self, processor: ProcessorMixin, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`; frames are taken as they come, none is sampled away."""
        images = [image for prompt in prompts for image in prompt.images] or None
        videos = [video for prompt in prompts for video in prompt.videos] or None
        clocks = [clock for prompt in prompts for clock in prompt.clocks]
        told: dict[str, Any] = {"do_sample_frames": False, "video_metadata": clocks}
        return processor(
            text=[self.text(processor, prompt) for prompt in prompts],
            images=images,
            videos=videos,
            padding=True,
            return_tensors="pt",
            **(told if videos else {}),
        )

    def text(self, processor: Any, prompt: Prompt) -> str:
        """One prompt in the chat template, each picture a placeholder."""
        return question(processor, prompt, **self.told)

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        return self.config_class(
            text_config=self.text_numbers(arch, tokens),
            vision_config=self.vision_numbers(arch),
            image_token_id=tokens["<image>"],
            video_token_id=tokens["<video>"],
            vision_start_token_id=tokens["<|vision_start|>"],
            vision_end_token_id=tokens["<|vision_end|>"],
            tie_word_embeddings=arch["tied"],
        )

    def text_numbers(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
        """The LLM's configuration; of 64 frequencies 16 turn with time, 24 with height and 24 with width."""
        half = arch["hidden"] // arch["heads"] // 2
        sections = [half - 2 * (3 * half // 8), 3 * half // 8, 3 * half // 8]
        return {
            "vocab_size": max(arch["vocab"], max(tokens.values()) + 1),
            "hidden_size": arch["hidden"],
            "intermediate_size": arch["mlp"],
            "num_hidden_layers": arch["layers"],
            "num_attention_heads": arch["heads"],
            "num_key_value_heads": arch["kv_heads"],
            "rope_parameters": {"rope_type": "default", "mrope_section": sections, "rope_theta": 1e6},
            "pad_token_id": tokens["<pad>"],
            "bos_token_id": tokens["<s>"],
            "eos_token_id": tokens["</s>"],
        }

    def vision_numbers(self, arch: Mapping[str, Any]) -> dict[str, Any]:
        """The tower's configuration."""
        vision = arch["vision"]
        return {
            "depth": vision["layers"],
            "embed_dim": vision["hidden"],
            "num_heads": vision["heads"],
            "mlp_ratio": vision["mlp"] // vision["hidden"],
            "hidden_size": arch["hidden"],
            "patch_size": vision["patch"],
        }

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`; pictures stay as large as they are, in whole merged patches."""
        import transformers

        patch = config.vision_config.patch_size
        token = (2 * patch) ** 2
        size = {"shortest_edge": token, "longest_edge": token}
        tokenizer.image_token, tokenizer.video_token = "<image>", "<video>"
        tokenizer.init_kwargs |= {"image_token": "<image>", "video_token": "<video>"}  # what a saved one remembers
        whole, video = (getattr(transformers, name) for name in self.processors)
        made: ProcessorMixin = whole(
            transformers.Qwen2VLImageProcessor(patch_size=patch, size=size),
            tokenizer,
            video(patch_size=patch, size=size),
            chat_template=CHAT_TEMPLATE,
        )
        self.cap(made, 512 * token, 1)
        return made

    def cap(self, processor: Any, most: int | None, by: int) -> None:
        """See `Family.cap`; the processors of video cap each frame."""
        for part in (processor.image_processor, processor.video_processor):
            longest = (most or part.size["longest_edge"]) // by
            part.size = {"shortest_edge": min(part.size["shortest_edge"], longest), "longest_edge": longest}
        processor.video_processor.cap_pixels_per_frame = False


CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ' ' }}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] + ' ' }}"
    "{% else %}{{ '<|vision_start|><' + part['type'] + '><|vision_end|>' }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'assistant ' }}{% endif %}"
)
"""The template of models with random weights; trained models bring their own."""


def sized_tower(arch: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of the towers of Qwen2.5-VL and Qwen3-VL, as transformers names them."""
    vision = arch["vision"]
    return {
        "depth": vision["layers"],
        "hidden_size": vision["hidden"],
        "intermediate_size": vision["mlp"],
        "num_heads": vision["heads"],
        "out_hidden_size": arch["hidden"],
        "patch_size": vision["patch"],
    }


def _grids(sizes: Tensor | None, merge: int) -> list[tuple[int, int, int]]:
    """Frames, rows and columns of merged tokens, from patch counts ``(pictures, 3)``."""
    rows = [] if sizes is None else sizes.tolist()
    return [(int(t), int(h) // merge, int(w) // merge) for t, h, w in rows]


def _from_positions(places: Tensor) -> tuple[int, int, int]:
    """Frames, rows and columns of a run of visual tokens from its temporal, vertical, horizontal ids, ``(3, n)``."""
    rows, cols = (int(axis.max() - axis.min()) + 1 for axis in places[1:])
    return places.shape[1] // (rows * cols), rows, cols


def _span(start: int, stop: int, grid: tuple[int, int, int] | None, film: bool) -> Span:
    if grid is None or stop - start != grid[0] * grid[1] * grid[2]:
        raise WinnowError(f"{stop - start} placeholder tokens do not fit the pictures given (next grid: {grid})")
    return Span(torch.arange(start, stop), *grid, film=film)

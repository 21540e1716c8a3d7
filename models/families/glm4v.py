"""GLM-4.1V (own tower, 2x2 convolution and gated merger, M-RoPE, norms before and behind attention and MLP).

Hugging Face `glm4v`. A temporal step of two frames of H x W pixels gives ``(H / 28) * (W / 28)`` tokens, between marks
of a picture and with its second behind them; marks of a video stand around all steps, which are one span of frames x
rows x columns. A step has the placeholder and the positions of a picture: it begins anew behind the text before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from transformers import BatchFeature, Glm4vConfig, PretrainedConfig, ProcessorMixin

from winnow.models.families.base import fill, prepared_film
from winnow.models.families.llava import question
from winnow.models.families.prompt import Prompt
from winnow.models.families.qwen2_vl import Qwen2VL
from winnow.reducers.core.layout import Layout, Span

FILM = 60000
"""Tokens of all frames of a film, at most, as the released processor has it."""
PROCESSORS = ("Processor", "ImageProcessor", "VideoProcessor")
"""What their names end with."""


class Glm4v(Qwen2VL):
    """See the module."""

    name = "glm4v"
    model_types = ("glm4v",)
    no_pixels = "its tower convolves squares of patches of whole pictures"
    config_class: ClassVar[Callable[..., PretrainedConfig]] = Glm4vConfig
    released: ClassVar[str] = "Glm4v"
    """What the names of its processors begin with."""

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`; the steps of films that the library's processor made are pictures too."""
        films = inputs.get("video_grid_thw")
        given = {**inputs, "image_grid_thw": _steps(films)} if films is not None else inputs
        found, config = super().layouts(outer, prompts, given), outer.config
        for number, ids in enumerate(prompts):
            begun, ended = (
                (ids == token).cumsum(0) for token in (config.video_start_token_id, config.video_end_token_id)
            )
            spans = tuple(_joined(found[number].spans, begun * (begun > ended)))
            found[number] = Layout(len(ids), spans)
        return found

    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`.

        The model takes pictures or films in one batch, and loses films under beams: to it and its tower the steps of a
        film are pictures, and so they are given. The processor would sample frames away; here it is told not to.
        """
        pictures, texts = list[tuple[Tensor, Tensor]](), list[str]()
        for prompt in prompts:
            text = question(processor, prompt)
            images = [_prepared(processor.image_processor, image) for image in prompt.images]
            text = fill(text, processor.image_token, [processor.replace_image_token(made, 0) for made in images])
            films = [_film(processor, *film) for film in zip(prompt.videos, prompt.clocks, strict=True)]
            texts.append(fill(text, processor.video_token, [processor.replace_video_token(made, 0) for made in films]))
            pictures += [(made["pixel_values"], made["image_grid_thw"]) for made in images]
            pictures += [(made["pixel_values_videos"], _steps(made["video_grid_thw"])) for made in films]
        made = processor.tokenizer(texts, padding=True, return_tensors="pt")
        inputs = BatchFeature({name: made[name] for name in ("input_ids", "attention_mask")})
        inputs["mm_token_type_ids"] = (inputs["input_ids"] == processor.image_token_id).long()
        if pictures:
            inputs["pixel_values"], inputs["image_grid_thw"] = map(torch.cat, zip(*pictures, strict=True))
        return inputs

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        ends = {"start": "begin", "end": "end"}
        marks = {
            f"{kind}_{end}_token_id": tokens[f"<|{word}_of_{kind}|>"]
            for kind in ("image", "video")
            for end, word in ends.items()
        }
        return self.config_class(
            text_config=self.text_numbers(arch, tokens),
            vision_config=self.vision_numbers(arch),
            image_token_id=tokens["<image>"],
            video_token_id=tokens["<video>"],
            tie_word_embeddings=arch["tied"],
            **marks,
        )

    def text_numbers(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
        """See `Qwen2VL.text_numbers`; half of a head turns, of 32 frequencies 8 with time, 12 with height and width."""
        turning = arch.get("head_dim", arch["hidden"] // arch["heads"]) // 4
        space = 3 * turning // 8
        sections = [turning - 2 * space, space, space]
        rope = {"rope_type": "default", "rope_theta": 1e4, "partial_rotary_factor": 0.5, "mrope_section": sections}
        return super().text_numbers(arch, tokens) | {"rope_parameters": rope}

    def vision_numbers(self, arch: Mapping[str, Any]) -> dict[str, Any]:
        """See `Qwen2VL.vision_numbers`; a block's MLP is as wide as the LLM, the merger's as the LLM's."""
        vision = arch["vision"]
        return {
            "depth": vision["layers"],
            "hidden_size": vision["hidden"],
            "num_heads": vision["heads"],
            "intermediate_size": arch["mlp"],
            "out_hidden_size": arch["hidden"],
            "image_size": vision["image"],
            "patch_size": vision["patch"],
        }

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        import transformers

        whole, image, video = (getattr(transformers, self.released + part) for part in PROCESSORS)
        patch = config.vision_config.patch_size
        token = (2 * patch) ** 2
        size = {"shortest_edge": 2 * token, "longest_edge": 2 * token}
        tokenizer.image_token, tokenizer.video_token = "<image>", "<video>"
        tokenizer.init_kwargs |= {"image_token": "<image>", "video_token": "<video>"}  # what a saved one remembers
        made: ProcessorMixin = whole(
            image(patch_size=patch, size=size),
            tokenizer,
            video(patch_size=patch, size=size | {"longest_edge": FILM * token}),
            chat_template=CHAT_TEMPLATE,
        )
        self.cap(made, 512 * token, 1)
        return made

    def cap(self, processor: Any, most: int | None, by: int) -> None:
        """See `Family.cap`; the processor counts a picture twice, and `encode` gives a frame no more than a picture."""
        part = processor.image_processor
        longest = (2 * most if most else part.size["longest_edge"]) // by
        part.size = {"shortest_edge": min(part.size["shortest_edge"], longest), "longest_edge": longest}


CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ' ' }}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] + ' ' }}"
    "{% else %}{% set kind = part['type'] %}"
    "{{ '<|begin_of_' + kind + '|><' + kind + '><|end_of_' + kind + '|>' }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'assistant ' }}{% endif %}"
)
"""The template of models with random weights; trained models bring their own."""


def _prepared(processor: Any, image: Any) -> Any:
    return processor([image], return_tensors="pt")


def _film(processor: Any, film: np.ndarray, clock: dict[str, Any]) -> Any:
    """A film prepared, whose frames are two for each step and no larger than a picture may be."""
    video, frames = processor.video_processor, len(film) + len(film) % 2
    film = np.concatenate([film, film[-1:]])[:frames]
    least, most = processor.image_processor.size["shortest_edge"], processor.image_processor.size["longest_edge"] // 2
    size = {"shortest_edge": least, "longest_edge": min(video.size["longest_edge"], most * frames)}
    return prepared_film(processor, film, clock, size=size)


def _steps(films: Tensor) -> Tensor:
    """The sizes of films' temporal steps, as of so many pictures, ``(steps, 3)``."""
    steps = films.repeat_interleave(films[:, 0], 0)
    steps[:, 0] = 1
    return steps


def _joined(spans: Sequence[Span], film: Tensor) -> Iterator[Span]:
    """Put the steps of each film together; `film` numbers the tokens within films, and is 0 elsewhere."""
    for number, group in groupby(spans, lambda span: int(film[span.positions[0]])):
        steps = list(group)
        if not number:
            yield from steps
        else:
            positions = torch.cat([step.positions for step in steps])
            yield Span(positions, len(steps), steps[0].rows, steps[0].cols)

"""LLaVA-1.5 (CLIP tower with CLS, pointwise projector) and everything of its class, pico included.

Hugging Face `llava`: one image gives ``(image_size / patch_size)^2`` tokens, LLaVA-1.5 24x24 = 576. Images that follow
each other without a token between them are the frames of one video.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, CLIPVisionConfig, LlavaConfig, PretrainedConfig, ProcessorMixin

from winnow.models.families.arch import llm_config, vit_numbers
from winnow.models.families.base import Family, runs
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span


class Llava(Family):
    """See the module."""

    name = "llava"
    model_types = ("llava",)
    cls = True

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`."""
        config = outer.config
        side = config.vision_config.image_size // config.vision_config.patch_size
        layouts = []
        for ids in prompts:
            spans = []
            for start, stop in runs(ids == config.image_token_id):
                frames, rest = divmod(stop - start, side * side)
                if rest:
                    raise WinnowError(f"{stop - start} image tokens are no multiple of the {side}x{side} of one frame")
                spans.append(Span(torch.arange(start, stop), frames, side, side))
            layouts.append(Layout(len(ids), tuple(spans)))
        return layouts

    def encode(self, processor: ProcessorMixin, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`; a video is written as its frames, one image each."""
        texts, pictures = [], []
        for prompt in prompts:
            frames = [*prompt.images, *(frame for video in prompt.videos for frame in video)]
            content = [*({"type": "image"} for _ in frames), {"type": "text", "text": prompt.text}]
            texts.append(chat(processor, content))
            pictures += frames
        return processor(text=texts, images=pictures or None, padding=True, return_tensors="pt")

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        tower = CLIPVisionConfig(**vit_numbers(arch))
        llm = llm_config(arch, tokens)
        return LlavaConfig(
            vision_config=tower,
            text_config=llm,
            image_token_id=tokens["<image>"],
            tie_word_embeddings=arch["tied"],
        )

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import CLIPImageProcessor, LlavaProcessor

        size = config.vision_config.image_size
        return LlavaProcessor(
            CLIPImageProcessor(size={"shortest_edge": size}, crop_size={"height": size, "width": size}),
            tokenizer,
            patch_size=config.vision_config.patch_size,
            vision_feature_select_strategy="default",
            num_additional_image_tokens=1,
            chat_template=CHAT_TEMPLATE,
        )


CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] + ' ' }}{% for part in message['content'] %}"
    "{% if part['type'] == 'text' %}{{ part['text'] + ' ' }}{% else %}{{ '<' + part['type'] + '>' }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'assistant ' }}{% endif %}"
)
"""The template of models with random weights; trained models bring their own."""


def chat(processor: ProcessorMixin, content: list[dict[str, str]], **told: Any) -> str:
    """One user turn in the processor's chat template, which may be told more, ready for the assistant's answer."""
    messages = [{"role": "user", "content": content}]
    return str(processor.apply_chat_template(messages, add_generation_prompt=True, **told))


def question(processor: ProcessorMixin, prompt: Prompt, **told: Any) -> str:
    """One prompt in the chat template, which may be told more: images, then videos, then text."""
    kinds = ["image"] * len(prompt.images) + ["video"] * len(prompt.videos)
    return chat(processor, [*({"type": kind} for kind in kinds), {"type": "text", "text": prompt.text}], **told)


def encode_pictures(processor: ProcessorMixin, prompts: Sequence[Prompt], **options: Any) -> BatchFeature:
    """Encode prompts, images before videos before text, for processors that take both kinds.

    Frames are taken as they come: none is sampled away.
    """
    texts = [question(processor, prompt) for prompt in prompts]
    images = [image for prompt in prompts for image in prompt.images] or None
    videos = [video for prompt in prompts for video in prompt.videos] or None
    return processor(
        text=texts, images=images, videos=videos, padding=True, return_tensors="pt", do_sample_frames=False, **options
    )

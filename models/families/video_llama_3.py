"""VideoLLaMA3 (SigLIP with 2-D RoPE for pictures of any size, a pointwise projector, Qwen2 with positions one by one).

Hugging Face `video_llama_3`. A picture of H x W pixels gives ``(H / 14) * (W / 14)`` tokens, a frame of a film, shrunk
behind the tower, ``(H / 28) * (W / 28)``, with its time before it: ``Time 1.0s:``. The frames of a film are one span.

Its processor can take tokens away where a frame hardly differs from the one before (``model.own_pruning``). What is
left of a film then is one row of tokens; how many are gone is told beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BatchFeature, PretrainedConfig, ProcessorMixin, VideoLlama3Config

from winnow.models.families.arch import llm_config, vit_numbers
from winnow.models.families.base import Family, Parts, fill, prepared_film
from winnow.models.families.llava import CHAT_TEMPLATE, question
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span

FILM = 16384
"""Tokens of all frames of a film, at most, as the released model has it."""
SIZES = ("image_grid_thw", "image_merge_sizes", "video_grid_thw", "video_merge_sizes", "video_compression_mask")
"""What tells how pictures lie, which `generate` hides from the model's forward."""


class VideoLlama3(Family):
    """See the module."""

    name = "video_llama_3"
    model_types = ("video_llama_3",)
    any_size = True
    sizes = SIZES
    prunes_itself = True
    no_tower = "behind its tower films are shrunk as grids, so that vectors that are no grid cannot pass"

    def parts(self, model: nn.Module) -> Parts:
        """See `Family.parts`."""
        outer: Any = model.model
        llm, tower = outer.language_model, outer.vision_model
        return Parts(outer, llm, llm.layers, tower, tower.encoder.layers, outer.projector)

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`; pictures that follow each other are told apart by their sizes."""
        config = outer.config
        kinds = {config.image_token_id: _pictures(inputs), config.video_token_id: _films(inputs)}
        made = []
        for ids in prompts:
            found, gone = list[Span](), 0
            for token, given in kinds.items():
                places = (ids == token).nonzero().flatten()
                while len(places):
                    frames, rows, cols, left = next(given, (0, 0, 0, -1))
                    if not 0 <= left <= len(places):
                        raise WinnowError(f"{len(places)} placeholder tokens do not fit the pictures given")
                    whole = frames * rows * cols
                    grid = (frames, rows, cols) if left == whole else (1, 1, left)
                    found.append(Span(places[:left], *grid, film=token == config.video_token_id))
                    places, gone = places[left:], gone + whole - left
            spans = tuple(sorted(found, key=lambda span: int(span.positions[0])))
            made.append(Layout(len(ids), spans, gone=gone))
        return made

    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`; frames are taken as they come, and each may be as large as a picture."""
        made: dict[str, list[Tensor]] = {}
        texts = []
        for prompt in prompts:
            text = question(processor, prompt)
            stills = [processor.image_processor([image], return_tensors="pt") for image in prompt.images]
            films = [_film(processor, *film) for film in zip(prompt.videos, prompt.clocks, strict=True)]
            text = fill(text, processor.image_token, [processor.replace_image_token(one, 0) for one in stills])
            texts.append(fill(text, processor.video_token, [processor.replace_video_token(one, 0) for one in films]))
            for one in (*stills, *films):
                for name, value in one.items():
                    if isinstance(value, Tensor):
                        made.setdefault(name, []).append(value)
        told = processor.tokenizer(texts, padding=True, return_tensors="pt")
        inputs = BatchFeature({name: told[name] for name in ("input_ids", "attention_mask")})
        return BatchFeature({**inputs, **{name: torch.cat(values) for name, values in made.items()}})

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        vision = vit_numbers(arch)
        del vision["image_size"]  # it takes any
        return VideoLlama3Config(
            text_config=llm_config(arch, tokens),
            vision_config=vision,
            image_token_id=tokens["<image>"],
            video_token_id=tokens["<video>"],
            tie_word_embeddings=arch["tied"],
        )

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import VideoLlama3ImageProcessor, VideoLlama3Processor, VideoLlama3VideoProcessor

        patch = config.vision_config.patch_size
        size = {"shortest_edge": (2 * patch) ** 2, "longest_edge": FILM * patch**2}
        tokenizer.image_token, tokenizer.video_token = "<image>", "<video>"
        tokenizer.init_kwargs |= {"image_token": "<image>", "video_token": "<video>"}  # what a saved one remembers
        made: ProcessorMixin = VideoLlama3Processor(
            VideoLlama3ImageProcessor(patch_size=patch, size=size),
            tokenizer,
            VideoLlama3VideoProcessor(patch_size=patch, size=size, use_token_compression=False),
            chat_template=CHAT_TEMPLATE,
        )
        self.cap(made, 512 * (2 * patch) ** 2, 1)
        return made

    def cap(self, processor: Any, most: int | None, by: int) -> None:
        """See `Family.cap`; `encode` gives a frame no more than a picture."""
        part = processor.image_processor
        longest = (most or part.size["longest_edge"]) // by
        part.size = {"shortest_edge": min(part.size["shortest_edge"], longest), "longest_edge": longest}

    def prune_itself(self, processor: Any, acts: bool) -> None:
        """See `Family.prune_itself`."""
        processor.video_processor.use_token_compression = acts


def _film(processor: Any, film: Any, clock: dict[str, Any]) -> Any:
    """A film prepared, of which none is sampled away."""
    video, picture = processor.video_processor, processor.image_processor
    token = (video.patch_size * video.merge_size) ** 2
    size = {
        "shortest_edge": min(picture.size["shortest_edge"], token),
        "longest_edge": min(picture.size["longest_edge"] * len(film), FILM * token),
    }
    return prepared_film(processor, film, clock, size=size)


def _pictures(inputs: Mapping[str, Any]) -> Iterator[tuple[int, int, int, int]]:
    """Frames, rows, columns and tokens of each picture."""
    return ((*grid, grid[0] * grid[1] * grid[2]) for grid in _grids(inputs, "image"))


def _films(inputs: Mapping[str, Any]) -> Iterator[tuple[int, int, int, int]]:
    """Frames, rows and columns of each film, and how many of its tokens its own pruning has left."""
    left, mask = 0, inputs.get("video_compression_mask")
    for frames, rows, cols in _grids(inputs, "video"):
        whole = frames * rows * cols
        yield frames, rows, cols, whole if mask is None else int(mask[left : left + whole].sum())
        left += whole


def _grids(inputs: Mapping[str, Any], kind: str) -> list[tuple[int, int, int]]:
    """Frames, rows and columns of tokens, from patch counts ``(pictures, 3)`` and what is shrunk to one."""
    sizes, by = inputs.get(f"{kind}_grid_thw"), inputs.get(f"{kind}_merge_sizes")
    pairs = [] if sizes is None or by is None else zip(sizes.tolist(), by.tolist(), strict=True)
    return [(int(t), int(h) // int(m), int(w) // int(m)) for (t, h, w), m in pairs]

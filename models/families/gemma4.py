"""Gemma 4 (own tower for pictures of any size, 3x3 average pooling behind it, sliding layers, two kinds of heads).

Hugging Face `gemma4`, here the dense LLM of 31B and that of 26B-A4B, in each of whose layers a token passes 8 of 128
experts beside the MLP. A picture keeps its shape and has as many tokens of 48 x 48
pixels as fit into a budget that the model was trained with: `BUDGETS`. Five of six layers see a window (1024 tokens
back) and let the tokens of a picture see each other, also those behind them; the others see all that came before, one
way, through wider heads whose values are their keys. Each layer scales what it returns.

A frame of a film is a picture, with its time before it: ``00:01``. Frames and pictures are given alike, which is what
the model makes of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import BatchFeature, Gemma4Config, PretrainedConfig, ProcessorMixin
from transformers.video_utils import VideoMetadata

from winnow.models.families.arch import TINY_FULL
from winnow.models.families.base import Family, Parts, fill, runs
from winnow.models.families.gemma3 import BEGIN, END
from winnow.models.families.llava import CHAT_TEMPLATE, question
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span

SOFTCAP = 30.0
"""Logits are bent to stay within this."""
POOL = 3
"""Patches along one side of a token."""
TEMPLATE = CHAT_TEMPLATE.replace("'<' + part['type'] + '>'", "'<image>' if part['type'] == 'image' else '<|video|>'")
"""The template of models with random weights; the mark of a film is the library's own."""
MARKS = {"image_token": "<image>", "boi_token": BEGIN, "eoi_token": END, "audio_token": "<|vision_end|>"}
MARKS |= {"boa_token": "<|begin_of_video|>", "eoa_token": "<|end_of_video|>"}
"""Marks of pictures, and of sound, for which the processor asks though nobody uses it, for random weights."""
TIME = 6
"""Tokens of a time: four digits around a colon, and a space."""

Grid = tuple[int, int]
"""Rows and columns of tokens."""
Run = tuple[int, int]
"""Start and stop of the tokens of one picture."""


class Gemma4(Family):
    """See the module."""

    name = "gemma4"
    model_types = ("gemma4",)
    any_size = True
    both_ways = True
    both_ways_sliding = True
    kinds = "mm_token_type_ids"
    late_drafts = False
    sizes = ("image_position_ids", "video_position_ids")
    budgets: ClassVar[tuple[int, ...]] = (70, 140, 280, 560, 1120)
    no_tower = "its tower pools squares of patches, so that vectors that are no grid cannot pass it"

    def parts(self, model: nn.Module) -> Parts:
        """See `Family.parts`."""
        outer: Any = model.model
        llm, tower = outer.language_model, outer.vision_tower
        return Parts(outer, llm, llm.layers, tower, tower.encoder.layers, outer.embed_vision)

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`; pictures, and the frames of films that the library's processor made."""
        config, side = outer.config, outer.config.vision_config.pooling_kernel_size
        given = {
            config.image_token_id: _grids(inputs.get("image_position_ids"), side),
            config.video_token_id: _grids(inputs.get("video_position_ids"), side),
        }
        return [_layout(ids, given) for ids in prompts]

    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`; a film is written as its frames, one picture each, each with its time."""
        texts, made = list[str](), list[BatchFeature]()
        for prompt in prompts:
            stills = [_prepared(processor, [image]) for image in prompt.images]
            films = [_prepared(processor, list(video)) for video in prompt.videos]
            text = question(processor, prompt)
            text = fill(text, processor.image_token, [processor.replace_image_token(one, 0) for one in stills])
            written = [_film(processor, *film) for film in zip(films, prompt.clocks, strict=True)]
            texts.append(fill(text, processor.video_token, written))
            made += [*stills, *films]
        twice = texts[0].startswith(processor.tokenizer.bos_token)  # the released template writes it too
        told = processor.tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=not twice)
        inputs = BatchFeature({name: told[name] for name in ("input_ids", "attention_mask")})
        inputs[self.kinds] = (inputs["input_ids"] == processor.image_token_id).long()
        for name in ("pixel_values", "image_position_ids") if made else ():
            inputs[name] = torch.cat([one[name] for one in made])
        return inputs

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        vision = arch["vision"]
        return Gemma4Config(
            text_config=self.text(arch, tokens),
            vision_config={
                "hidden_size": vision["hidden"],
                "intermediate_size": vision["mlp"],
                "num_hidden_layers": vision["layers"],
                "num_attention_heads": vision["heads"],
                "num_key_value_heads": vision["heads"],
                "head_dim": vision["hidden"] // vision["heads"],
                "patch_size": vision["patch"],
                "pooling_kernel_size": vision.get("merge", POOL),
                "standardize": True,
            },
            audio_config=None,
            image_token_id=tokens["<image>"],
            video_token_id=tokens["<video>"],
            audio_token_id=tokens[MARKS["audio_token"]],
            boi_token_id=tokens[BEGIN],
            eoi_token_id=tokens[END],
            tie_word_embeddings=arch["tied"],
        )

    def text(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
        """The LLM's configuration; its last layer is always one that sees everything."""
        full, every, last = arch.get("full", TINY_FULL), arch.get("sliding_pattern", 3), arch["layers"] - 1
        sees_all = [(layer + 1) % every == 0 or layer == last for layer in range(arch["layers"])]
        vocabulary = max(arch["vocab"], max(tokens.values()) + 1)
        experts = {
            "enable_moe_block": "experts" in arch,
            "num_experts": arch.get("experts"),
            "top_k_experts": arch.get("experts_per_token"),
            "moe_intermediate_size": arch.get("expert_mlp"),
        }
        return experts | {
            "vocab_size": vocabulary,
            "vocab_size_per_layer_input": vocabulary,
            "hidden_size": arch["hidden"],
            "hidden_size_per_layer_input": 0,
            "intermediate_size": arch.get("shared_mlp", arch["mlp"]),
            "num_hidden_layers": arch["layers"],
            "num_attention_heads": arch["heads"],
            "num_key_value_heads": arch["kv_heads"],
            "head_dim": arch.get("head_dim", arch["hidden"] // arch["heads"]),
            "num_global_key_value_heads": full.get("kv_heads"),
            "global_head_dim": full["head_dim"],
            "attention_k_eq_v": True,
            "layer_types": ["full_attention" if whole else "sliding_attention" for whole in sees_all],
            "sliding_window": arch.get("sliding_window", 512),
            "use_bidirectional_attention": "vision",
            "final_logit_softcapping": SOFTCAP,
            "pad_token_id": tokens["<pad>"],
            "bos_token_id": tokens["<s>"],
            "eos_token_id": tokens["</s>"],
        }

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import (
            Gemma4AudioFeatureExtractor,
            Gemma4ImageProcessor,
            Gemma4Processor,
            Gemma4VideoProcessor,
        )

        vision = config.vision_config
        sizes = {"patch_size": vision.patch_size, "pooling_kernel_size": vision.pooling_kernel_size}
        for name, token in MARKS.items():
            setattr(tokenizer, name, token)
            setattr(tokenizer, f"{name}_id", tokenizer.convert_tokens_to_ids(token))
        tokenizer.init_kwargs |= MARKS  # what a saved one remembers
        least = self.budgets[0]
        return Gemma4Processor(
            Gemma4AudioFeatureExtractor(),
            Gemma4ImageProcessor(max_soft_tokens=least, **sizes),
            tokenizer,
            Gemma4VideoProcessor(max_soft_tokens=least, **sizes),
            chat_template=TEMPLATE,
            image_seq_length=least,
        )

    def cap(self, processor: Any, most: int | None, by: int) -> None:
        """See `Family.cap`; the budgets are those that the model was trained with."""
        part = processor.image_processor
        token = (part.patch_size * part.pooling_kernel_size) ** 2
        budget, rest = divmod(most // token if most else part.max_soft_tokens, by)
        if rest or budget not in self.budgets:
            raise WinnowError(
                f"pictures of {budget} tokens: gemma4 was trained with {' | '.join(map(str, self.budgets))}, each of "
                f"{token} pixels of model.max_pixels, which downsample.pixels divides"
            )
        part.max_soft_tokens = budget


def _prepared(processor: Any, pictures: Sequence[Any]) -> BatchFeature:
    made: BatchFeature = processor.image_processor(pictures, return_tensors="pt")
    return made


def _film(processor: Any, made: BatchFeature, clock: dict[str, Any]) -> str:
    """A film in words, as the library's processor writes it, with the placeholder of pictures."""
    told = {
        "num_soft_tokens_per_video": made["num_soft_tokens_per_image"][:1],
        "video_metadata": [VideoMetadata(**clock)],
    }
    return str(processor.replace_video_token(told, 0)).replace(processor.video_token, processor.image_token)


def _grids(places: Tensor | None, side: int) -> Iterator[Grid]:
    """Rows and columns of tokens of each picture, from the columns and rows of its patches, ``(..., patches, 2)``."""
    for picture in () if places is None else places.flatten(0, -3):
        cols, rows = (picture.amax(0) + 1).tolist()
        yield rows // side, cols // side


def _layout(ids: Tensor, given: Mapping[int, Iterator[Grid]]) -> Layout:
    spans: list[Span] = []
    film = list[Run]()
    for start, stop in sorted(run for token in given for run in runs(ids == token)):
        rows, cols = next(given[int(ids[start])], (0, 0))
        if rows * cols != stop - start:
            raise WinnowError(f"{stop - start} placeholder tokens do not fit the pictures given: {rows} x {cols}")
        goes_on = bool(film) and (rows, cols) == (spans[-1].rows, spans[-1].cols) and _follows(ids, film, start)
        if goes_on:
            spans.pop()
        film = [*film, (start, stop)] if goes_on else [(start, stop)] if _begins(ids, start) else []
        places = [torch.arange(*frame) for frame in film or [(start, stop)]]
        spans.append(Span(torch.cat(places), len(places), rows, cols, film=bool(film)))
    return Layout(len(ids), tuple(spans))


def _begins(ids: Tensor, start: int) -> bool:
    """Whether a picture is the first of a film: ``00:00`` and a space stand before its mark."""
    time = ids[max(0, start - 1 - TIME) : start - 1].tolist()
    return len(time) == TIME and len({*time[:2], *time[3:5]}) == 1 and time[2] != time[0]


def _follows(ids: Tensor, film: Sequence[Run], start: int) -> bool:
    """Whether a picture is the next one of a film: between their marks stands a time between two spaces."""
    time, between = ids[film[0][0] - 1 - TIME :][:TIME], ids[film[-1][1] + 1 : start - 1]
    if len(between) not in (TIME + 1, TIME + 2):  # from minute 100 on
        return False
    colon, space = time[2], time[-1]
    return bool((between[-4] == colon) & (between[-1] == space) & (between[0] == space))

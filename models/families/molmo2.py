"""Molmo 2 (SigLIP2 tower, squares of patches pooled by attention, Qwen3's decoder, pictures that attend both ways).

Hugging Face `molmo2`, from transformers 5.23 on. Features of two blocks of the tower lie side by side; in a picture the
mean of 2x2 patches asks these patches, in a film that of 3x3. A picture is shown whole (378 pixels, patches of 14: 14 x
14 tokens) and in up to eight overlapping crops, which are one grid; a newline stands behind each row. A frame has 9 x 9
tokens, with its time before it, and all frames are one span. What is pooled is added to the placeholder's embedding.
All pictures of a prompt see each other both ways, with the marks around them and the newlines in them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import BatchFeature, Molmo2Config, PretrainedConfig, ProcessorMixin

from winnow.models.families.base import Family, Parts, fill, prepared_film
from winnow.models.families.llava import CHAT_TEMPLATE, question
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Layout, Span

APART = 6
"""Blocks between the two whose features are taken, the last one and an earlier one."""
MARGIN = 4
"""Patches by which crops overlap their neighbours, on either side."""
MARKS = {"image_patch_id": "<im_patch>", "image_start_token_id": "<im_start>", "image_end_token_id": "<im_end>"}
MARKS |= {"low_res_image_start_token_id": "<low_res_im_start>"}
MARKS |= {"frame_start_token_id": "<frame_start>", "frame_end_token_id": "<frame_end>"}
"""What the configuration calls the tokens that the processor writes."""

View = tuple[int, int, int]
"""Frames, rows and columns."""


class Molmo2(Family):
    """See the module."""

    name = "molmo2"
    model_types = ("molmo2",)
    both_ways = True
    one_block = True
    kinds = "mm_token_type_ids"
    tiny_image = 28
    late_drafts = False
    sizes = ("image_grids", "video_grids")
    no_tower = "its projector pools squares of patches, so that vectors that are no grid cannot pass it"

    def parts(self, model: nn.Module) -> Parts:
        """See `Family.parts`.

        Raises
        ------
        UnsupportedError
            For Molmo2-O.
        """
        outer: Any = model.model
        llm, tower = outer.language_model, outer.vision_tower
        if llm.config.norm_after or "unscaled" in llm.rope_types:
            raise UnsupportedError(
                "Molmo2-O, whose layers norm what they return and turn tokens unlike, is not supported: choose "
                "Molmo2-4B | Molmo2-8B"
            )
        return Parts(outer, llm, llm.layers, tower, tower.layers, outer.multi_modal_projector)

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`."""
        config, pictures = outer.config, _pictures(inputs)
        ends = (config.image_end_token_id, config.frame_end_token_id)
        return [_layout(ids, config.image_token_id, ends, pictures) for ids in prompts]

    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`.

        The model takes either pictures or films, and films as pictures of many rows; so all are given as pictures.
        """
        texts, made = list[str](), list[tuple[Tensor, Tensor, list[int]]]()
        begin = processor.tokenizer.bos_token or processor.tokenizer.eos_token  # templates leave it out
        for prompt in prompts:
            stills = [processor.image_processor([image], return_tensors="pt") for image in prompt.images]
            films = [prepared_film(processor, *one) for one in zip(prompt.videos, prompt.clocks, strict=True)]
            written = [processor.replace_image_token(one, 0) for one in stills]
            text = fill(question(processor, prompt), processor.image_token, written)
            text = fill(text, processor.video_token, [processor.replace_video_token(one, 0) for one in films])
            texts.append(text if text.startswith(begin) else begin + text)
            made += [(x["pixel_values"], x["image_token_pooling"], x["image_grids"][0].tolist()) for x in stills]
            for one in films:
                frames, rows, cols = one["video_grids"][0].tolist()
                made.append((one["pixel_values_videos"], one["video_token_pooling"], [frames * rows, cols, 0, 0]))
        told = processor.tokenizer(texts, padding=True, return_tensors="pt")
        inputs = BatchFeature({name: told[name] for name in ("input_ids", "attention_mask")})
        inputs[self.kinds] = torch.isin(inputs["input_ids"], torch.tensor(processor.image_token_ids)).long()
        return BatchFeature({**inputs, **_joined(made)})

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        vision, ids = arch["vision"], {name: tokens[token] for name, token in MARKS.items()}
        tower = {
            "hidden_size": vision["hidden"],
            "num_attention_heads": vision["heads"],
            "num_key_value_heads": vision["heads"],
            "head_dim": vision["hidden"] // vision["heads"],
        }
        last = vision["layers"] - 1
        size = {"image_size": [vision["image"]] * 2, "patch_size": vision["patch"]}
        widths = {"intermediate_size": arch["mlp"], "text_hidden_size": arch["hidden"]}
        return Molmo2Config(
            vision_config=tower | size | {"num_hidden_layers": last + 1, "intermediate_size": vision["mlp"]},
            adapter_config=tower | widths | {"vision_feature_layer": [last, max(0, last - APART)]},
            text_config=_text_numbers(arch, tokens),
            tie_word_embeddings=arch["tied"],
            **ids,
        )

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import Molmo2ImageProcessor, Molmo2Processor, Molmo2VideoProcessor

        vision = config.vision_config
        height, width = vision.image_size
        view = {"size": {"height": height, "width": width}, "patch_size": vision.patch_size}
        margin = MARGIN if height // vision.patch_size > 4 * MARGIN else 1
        made: ProcessorMixin = Molmo2Processor(
            Molmo2ImageProcessor(**view, overlap_margins=[margin, margin]),
            Molmo2VideoProcessor(**view),
            tokenizer,
            chat_template=CHAT_TEMPLATE,
        )
        return made


def _text_numbers(arch: Mapping[str, Any], tokens: Mapping[str, int]) -> dict[str, Any]:
    """The LLM's configuration."""
    return {
        "vocab_size": max(arch["vocab"], max(tokens.values()) + 1),
        "hidden_size": arch["hidden"],
        "intermediate_size": arch["mlp"],
        "num_hidden_layers": arch["layers"],
        "num_attention_heads": arch["heads"],
        "num_key_value_heads": arch["kv_heads"],
        "head_dim": arch.get("head_dim", arch["hidden"] // arch["heads"]),
        "rope_parameters": {"rope_type": "default", "rope_theta": 5e6},
        "pad_token_id": tokens["<pad>"],
        "bos_token_id": tokens["<s>"],
        "eos_token_id": tokens["</s>"],
    }


def _joined(made: Sequence[tuple[Tensor, Tensor, list[int]]]) -> dict[str, Tensor]:
    """All crops in a row, and for each token the patches that it pools, counted on from picture to picture."""
    if not made:
        return {}
    crops, squares, grids = zip(*made, strict=True)
    first, widest, pooled = 0, max(square.shape[1] for square in squares), list[Tensor]()
    for views, square in zip(crops, squares, strict=True):
        counted = torch.where(square < 0, square, square + first)
        pooled.append(pad(counted, (0, widest - square.shape[1]), value=-1))
        first += views.shape[0] * views.shape[1]
    return {
        "pixel_values": torch.cat(crops),
        "image_token_pooling": torch.cat(pooled),
        "image_grids": torch.tensor(grids),
    }


def _pictures(inputs: Mapping[str, Any]) -> Iterator[list[View]]:
    """The views of each picture and film; a film given as a picture is rows of square frames, and has no crops."""
    stills, films = (inputs.get(name) for name in Molmo2.sizes)
    for rows, cols, *crops in [] if stills is None else stills.tolist():
        yield [(1, rows, cols), (1, crops[0], crops[1])] if any(crops) else [(rows // cols, cols, cols)]
    for frames, rows, cols in [] if films is None else films.tolist():
        yield [(frames, rows, cols)]


def _layout(ids: Tensor, token: int, ends: Collection[int], pictures: Iterator[list[View]]) -> Layout:
    places, done = (ids == token).nonzero().flatten(), 0
    spans, marks = list[Span](), [ids[:0]]
    while done < len(places):
        for view, grid in enumerate(next(pictures, [])):
            frames, rows, cols = grid
            mine = places[done : done + frames * rows * cols]
            if len(mine) < frames * rows * cols:
                break
            spans.append(Span(mine, *grid, view=view))
            marks += [_around(ids, frame, ends) for frame in mine.view(frames, -1)]
            done += len(mine)
        else:
            if spans:
                continue
        raise WinnowError(f"{len(places)} placeholder tokens do not fit the pictures given")
    return Layout(len(ids), tuple(spans), torch.cat(marks))


def _around(ids: Tensor, frame: Tensor, ends: Collection[int]) -> Tensor:
    """Where the marks around a view, and the newlines in it, stand."""
    last = int(frame[-1]) + 1
    last += last + 1 < len(ids) and int(ids[last]) not in ends
    around = torch.arange(int(frame[0]) - 1, last + 1)
    return around[~torch.isin(around, frame)]

"""PerceptionLM (Perception Encoder as timm builds it, a pointwise projector that then pools 2x2, Llama 3).

Hugging Face `perception_lm`, 448 pixels, patches of 14: 32x32 patches become 16x16 = 256 tokens a tile. A picture is
shown whole first, then in the grid of at most 36 tiles that shows it largest, so that a small one has the most: 64 x 64
pixels give 37 tiles, 1920 x 1080 give 33. Each tile is a span of its own. A video frame is one tile, and all frames are
one span. Nothing stands between pictures, or between videos, that follow each other: they count as one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BatchFeature, PerceptionLMConfig, PretrainedConfig, ProcessorMixin, TimmWrapperConfig

from winnow.models.families.arch import llm_config
from winnow.models.families.base import Family, Parts, fill, runs
from winnow.models.families.llava import CHAT_TEMPLATE, question
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span

TOWERS = {True: "vit_pe_core_large_patch14_336", False: "vit_pe_core_gigantic_patch14_448"}
"""Names in timm of the towers with CLS and without."""
POOL = 2
"""Patches along one side of a token."""


class PerceptionLM(Family):
    """See the module."""

    name = "perception_lm"
    model_types = ("perception_lm",)
    requires = ("timm",)
    tiny_image = 24
    no_tower = "its projector pools squares of patches, so that vectors that are no grid cannot pass it"

    def parts(self, model: nn.Module) -> Parts:
        """See `Family.parts`."""
        outer: Any = model.model
        llm, tower = outer.language_model, outer.vision_tower
        return Parts(outer, llm, llm.layers, tower, tower.timm_model.blocks, outer.multi_modal_projector)

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`."""
        return [_layout(ids, outer.config) for ids in prompts]

    def encode(self, processor: Any, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`.

        The processor takes pictures of one number of tiles alone; so each is prepared by itself, and the model, which
        takes all tiles in a row, is given each as a picture of one.
        """
        texts, made = list[str](), dict[str, list[Tensor]]()
        for prompt in prompts:
            stills = [processor.image_processor([image], return_tensors="pt") for image in prompt.images]
            films = [_film(processor, video) for video in prompt.videos]
            text = question(processor, prompt)
            text = fill(text, processor.image_token, [processor.replace_image_token(one, 0) for one in stills])
            texts.append(fill(text, processor.video_token, [processor.replace_video_token(one, 0) for one in films]))
            for name, one in ((name, one) for picture in (*stills, *films) for name, one in picture.items()):
                made.setdefault(name, []).append(one[0][:, None])
        twice = texts[0].startswith(processor.tokenizer.bos_token)  # the released template writes it too
        told = processor.tokenizer(texts, padding=True, return_tensors="pt", add_special_tokens=not twice)
        inputs = BatchFeature({name: told[name] for name in ("input_ids", "attention_mask")})
        return BatchFeature(dict(inputs) | {name: torch.cat(tiles) for name, tiles in made.items()})

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        cls = bool(arch["vision"].get("extra_tokens", 1))
        return PerceptionLMConfig(
            vision_config=TimmWrapperConfig(architecture=TOWERS[cls], model_args=_tower_numbers(arch["vision"], cls)),
            text_config=llm_config(arch, tokens),
            vision_use_cls_token=cls,
            projector_pooling_ratio=arch["vision"].get("pool", POOL),
            image_token_id=tokens["<image>"],
            video_token_id=tokens["<video>"],
            tie_word_embeddings=arch["tied"],
        )

    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """See `Family.processor`."""
        from transformers import PerceptionLMImageProcessor, PerceptionLMProcessor, PerceptionLMVideoProcessor

        args = config.vision_config.model_args
        side = args["img_size"][0]
        return PerceptionLMProcessor(
            PerceptionLMVideoProcessor(size={"height": side, "width": side}),
            PerceptionLMImageProcessor(tile_size=side),
            tokenizer,
            patch_size=side // args["ref_feat_shape"][0],
            chat_template=CHAT_TEMPLATE,
            pooling_ratio=config.projector_pooling_ratio,
        )


def _tower_numbers(vision: Mapping[str, Any], cls: bool) -> dict[str, Any]:
    """What timm is told of the tower: as the release does, and what that leaves to the tower's name."""
    side = vision["image"] // vision["patch"]
    return {
        "embed_dim": vision["hidden"],
        "depth": vision["layers"],
        "num_heads": vision["heads"],
        "mlp_ratio": vision["mlp"] / vision["hidden"],
        "patch_size": vision["patch"],
        "img_size": (vision["image"], vision["image"]),
        "ref_feat_shape": (side, side),
        "class_token": cls,
        "global_pool": "",
        "use_post_transformer_norm": False,
        "init_values": 0.1,
    }


def _film(processor: Any, video: Any) -> BatchFeature:
    """A film prepared, of which no frame is sampled away."""
    made: BatchFeature = processor.video_processor([video], do_sample_frames=False, return_tensors="pt")
    return made


def _layout(ids: Tensor, config: PretrainedConfig) -> Layout:
    side = config.vision_config.model_args["ref_feat_shape"][0] // config.projector_pooling_ratio
    spans = list[Span]()
    for start, stop in sorted(runs(ids == config.image_token_id) + runs(ids == config.video_token_id)):
        tiles, rest = divmod(stop - start, side * side)
        if rest:
            raise WinnowError(f"{stop - start} image tokens are no multiple of the {side}x{side} of one tile")
        places = torch.arange(start, stop)
        if ids[start] == config.video_token_id:
            spans.append(Span(places, tiles, side, side, film=True))
        else:
            spans += [Span(tile, 1, side, side, view=view) for view, tile in enumerate(places.chunk(tiles))]
    return Layout(len(ids), tuple(spans))

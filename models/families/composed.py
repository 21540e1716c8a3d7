"""What the composed families share: layouts, prompts, configurations; they differ in the class variables."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import (
    BatchFeature,
    CLIPVisionConfig,
    InternVLVisionConfig,
    PretrainedConfig,
    ProcessorMixin,
    SiglipVisionConfig,
)

from winnow.models.composed import ComposedConfig, ComposedProcessor
from winnow.models.families.arch import llm_config, vit_numbers
from winnow.models.families.base import Family, Parts
from winnow.models.families.llava import CHAT_TEMPLATE, chat
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span

if TYPE_CHECKING:
    from winnow.models.convert.original import Original


class Composed(Family):
    """A family of composed models."""

    tower_kind: ClassVar[str] = "clip"
    """Which tower, unless the architecture says so: clip, siglip or internvit."""
    structure: ClassVar[Mapping[str, Any]] = {}
    """Fields of `ComposedConfig`."""
    between: ClassVar[str] = ""
    """Text between two frames."""

    def parts(self, model: nn.Module) -> Parts:
        """See `Family.parts`."""
        outer: Any = model.model
        llm, tower = outer.language_model, outer.vision_tower
        blocks = tower.encoder.layers if hasattr(tower.encoder, "layers") else tower.encoder.layer
        return Parts(outer, llm, llm.layers, tower, blocks, outer.multi_modal_projector)

    def pooled_slots(self, config: PretrainedConfig) -> int | None:
        """See `Family.pooled_slots`."""
        return config.side**2 if config.pool > 1 else None

    def pixels(self, inputs: Mapping[str, Any], tower: int = 0) -> Tensor:
        """See `Family.pixels`."""
        pixels, counts = inputs["pixel_values"], inputs["frames"].sum(1)
        return torch.cat([row[:count] for row, count in zip(pixels, counts, strict=True)])

    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """See `Family.layouts`; a picture is one span, what stands between its first and last token separates."""
        given = inputs.get("frames")
        counts = [[]] * len(prompts) if given is None else [[n for n in row if n] for row in given.tolist()]
        return [_layout(ids, outer.config, each) for ids, each in zip(prompts, counts, strict=True)]

    def encode(self, processor: ProcessorMixin, prompts: Sequence[Prompt]) -> BatchFeature:
        """See `Family.encode`; a still picture is a video of one frame."""
        pictures = [[*([image] for image in prompt.images), *prompt.videos] for prompt in prompts]
        texts = [
            chat(processor, [*({"type": "image"} for _ in each), {"type": "text", "text": prompt.text}])
            for prompt, each in zip(prompts, pictures, strict=True)
        ]
        return processor(texts, pictures)

    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """See `Family.config`."""
        return ComposedConfig(
            family=self.name,
            vision_config=TOWERS[arch["vision"].get("tower", self.tower_kind)](vit_numbers(arch)),
            text_config=llm_config(arch, tokens),
            image_token_id=tokens[PLACE],
            tie_word_embeddings=arch["tied"],
            **self.structure,
        )

    @abstractmethod
    def original(self) -> Original:
        """The layout of the released checkpoints."""

    def load_original(
        self, source: str, revision: str | None, dtype: torch.dtype, attn: str
    ) -> tuple[nn.Module, ProcessorMixin] | None:
        """See `Family.load_original`."""
        from winnow.models.convert import load_original

        return load_original(self, source, revision, dtype, attn)

    def processor(self, config: PretrainedConfig, tokenizer: Any, template: str = CHAT_TEMPLATE) -> ProcessorMixin:
        """See `Family.processor`."""
        return ComposedProcessor(
            image_processor(config),
            tokenizer,
            image_token_id=config.image_token_id,
            tokens=config.tokens_per_frame,
            frames=self.fixed_frames,
            between=self.between,
            chat_template=template,
        )


PLACE = "<image>"
TOWERS = {
    "clip": lambda numbers: CLIPVisionConfig(**numbers),
    "siglip": lambda numbers: SiglipVisionConfig(**numbers, vision_use_head=False),
    "internvit": lambda numbers: InternVLVisionConfig(**numbers, use_qk_norm=True, norm_type="rms_norm"),
}
"""Kind of tower -> its configuration; InternViT as OpenGVLab's 6B models have it, with RMS norms also on q and k."""


def image_processor(config: PretrainedConfig) -> Any:
    """What each tower's own preprocessing does: CLIP crops the centre, the others resize to a square."""
    from transformers import CLIPImageProcessor, SiglipImageProcessor
    from transformers.image_utils import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD

    size = config.vision_config.image_size
    side = size if isinstance(size, int) else size[0]
    square = {"height": side, "width": side}
    if config.vision_config.model_type == "clip_vision_model":
        return CLIPImageProcessor(size={"shortest_edge": side}, crop_size=square)
    if config.vision_config.model_type == "siglip_vision_model":
        return SiglipImageProcessor(size=square)
    return CLIPImageProcessor(
        size=square, do_center_crop=False, image_mean=IMAGENET_DEFAULT_MEAN, image_std=IMAGENET_DEFAULT_STD
    )


def _layout(ids: Tensor, config: PretrainedConfig, counts: Sequence[int]) -> Layout:
    """Lay the pictures of one prompt, with `counts` frames, over its placeholder tokens."""
    slots, tokens, side = (ids == config.image_token_id).nonzero().flatten(), config.tokens_per_frame, config.side
    if len(slots) != sum(counts) * tokens:
        raise WinnowError(f"{len(slots)} placeholder tokens do not fit {list(counts)} frames of {tokens} tokens")
    spans, separators = [], []
    for count, own in zip(counts, slots.split([count * tokens for count in counts]), strict=True):
        visual = own.view(count, side, -1)[..., :side].flatten()
        spans.append(Span(visual, count, side, side))
        inside = torch.arange(int(own[0]), int(own[-1]) + 1)
        separators.append(inside[~torch.isin(inside, visual)])
    return Layout(len(ids), tuple(spans), torch.cat(separators) if separators else torch.empty(0, dtype=torch.long))

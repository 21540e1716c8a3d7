"""What Winnow has to know about a family of models: the only model-specific place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import BatchFeature, PretrainedConfig, ProcessorMixin

from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.tower import Tower


@dataclass(frozen=True)
class Parts:
    """The modules of a model that the engine hooks into."""

    outer: nn.Module
    """Receives `input_ids` and pixels, calls the tower and the LLM."""
    llm: nn.Module
    """The decoder stack, without the LM head."""
    layers: Sequence[nn.Module]
    """Its decoder layers."""
    tower: nn.Module
    """The vision tower."""
    blocks: Sequence[nn.Module]
    """Its transformer blocks."""
    projector: nn.Module
    """Maps features of the tower to the LLM's width."""
    video_tower: nn.Module | None = None
    """The tower of videos, where they have one of their own."""
    video_blocks: Sequence[nn.Module] = ()
    """Its transformer blocks."""

    @property
    def towers(self) -> list[tuple[nn.Module, Sequence[nn.Module]]]:
        """The vision towers with their blocks, in the order of `Span.tower`."""
        videos = [] if self.video_tower is None else [(self.video_tower, self.video_blocks)]
        return [(self.tower, self.blocks), *videos]


class Family(ABC):
    """One family of Hugging Face models. Subclasses state layouts, prompts and configurations; they hold no state."""

    name: ClassVar[str]
    model_types: ClassVar[tuple[str, ...]]
    """Types of the models that the family covers, see `winnow.models.families.kind_of`."""
    requires: ClassVar[tuple[str, ...]] = ()
    """Packages that its model or processor needs, which transformers does not bring."""
    mrope: ClassVar[bool] = False
    """Whether positions are three-dimensional, so that compact numbering is undefined."""
    cls: ClassVar[bool] = False
    """Whether the vision tower has a CLS token."""
    fixed_frames: ClassVar[int] = 0
    """How many frames the model makes of any video, so that fewer are as many tokens; 0 for as many as are given."""
    any_size: ClassVar[bool] = False
    """Whether pictures of any size are taken, so that fewer pixels are fewer tokens."""
    video_cls: ClassVar[bool] = False
    """Whether the CLS token of each video frame goes on to the LLM, in front of the frame's patches."""
    pooling: ClassVar[str] = "apply_pooling"
    """Name of the multimodal model's pooling, before or behind the projector, which takes whole grids alone."""
    tiny_image: ClassVar[int] = 20
    """Pixels along the side of a picture at ``scale=tiny``, in patches of 4."""
    both_ways: ClassVar[bool] = False
    """Whether the tokens of a picture see also those behind them, which `kinds` tell the model."""
    both_ways_sliding: ClassVar[bool] = False
    """Whether they do so in sliding layers alone."""
    one_block: ClassVar[bool] = False
    """Whether all pictures of a prompt do so together, with their separators, instead of each for itself."""
    kinds: ClassVar[str] = "token_type_ids"
    """The input that tells tokens of pictures from text."""
    late_drafts: ClassVar[bool] = True
    """Whether drafts hold where a later turn brings pictures."""
    deepstack: ClassVar[bool] = False
    """Whether features from several depths of the tower are added behind the first layers of the LLM."""
    full_every: ClassVar[int] = 1
    """Each so many-th layer of the LLM has attention; the others carry a state from token to token, and no signals."""
    shared_keys: ClassVar[bool] = False
    """Whether the last layers of the LLM read keys and values of earlier ones, and have none; see `readers_of`."""
    fed: ClassVar[bool] = False
    """Whether each layer of the LLM has an input of its own for each token."""
    told: ClassVar[Mapping[str, Any]] = {}
    """What the chat template is told besides the messages."""
    sizes: ClassVar[tuple[str, ...]] = ()
    """Inputs that tell how pictures lie where nothing else does, as `generate` hides them from the model's forward."""
    packed: ClassVar[bool] = False
    """Whether the pixels of all pictures of a batch are one row."""
    budgets: ClassVar[tuple[int, ...]] = ()
    """Tokens of a picture that the model was trained with, where it may have no other number; see `cap`."""
    prunes_itself: ClassVar[bool] = False
    """Whether the processor can take visual tokens away by a rule of the model's own, see `prune_itself`."""
    no_tower: ClassVar[str] = ""
    """Why methods cannot act in the vision tower; empty where they can."""
    no_pixels: ClassVar[str] = "it takes whole pictures"
    """Why methods cannot choose patches in front of the vision tower; empty where they can."""

    def parts(self, model: nn.Module) -> Parts:
        """Find the modules of a loaded model."""
        outer: Any = model.model
        llm, tower = outer.language_model, outer.vision_tower
        return Parts(outer, llm, llm.layers, tower, tower.encoder.layers, outer.multi_modal_projector)

    def tower(self, config: PretrainedConfig) -> Tower | None:
        """Describe the vision tower of a model with this configuration; None where methods cannot act in it."""
        if self.no_tower:
            return None
        vision = config.vision_config
        side, layer = vision.image_size // vision.patch_size, config.vision_feature_layer
        used = vision.num_hidden_layers + 1 + layer if layer < 0 else layer
        cls = vision.model_type == "clip_vision_model"
        return Tower(vision.num_hidden_layers, used, side, side, cls, self.pooled_slots(config))

    def pooled_slots(self, config: PretrainedConfig) -> int | None:
        """Visual tokens a frame where the model pools behind its projector; None where the projector is pointwise."""
        return None

    def pixels(self, inputs: Mapping[str, Any], tower: int = 0) -> Tensor:
        """All frames of encoded prompts in the order of a tower's batch, ``(frames, 3, height, width)``."""
        names = ("pixel_values", "pixel_values_images") if tower == 0 else ()
        given: Tensor | None = next((inputs[name] for name in names if name in inputs), None)
        return torch.as_tensor(inputs["pixel_values_videos"]).flatten(0, 1) if given is None else given

    @abstractmethod
    def layouts(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Layout]:
        """Find the visual spans of each prompt.

        Parameters
        ----------
        outer : nn.Module
            The multimodal model, see `Parts`.
        prompts : sequence of Tensor
            Token ids of each prompt without padding, on the CPU.
        inputs : mapping
            The other inputs of the model's forward: pixels and image sizes, or what `generate` encoded beforehand
            (`mm_encoder_outputs`, transformers 5.23).
        """

    def positions(self, outer: Any, prompts: Sequence[Tensor], inputs: Mapping[str, Any]) -> list[Tensor]:
        """Position ids of each prompt as the model was trained with them, ``(3, length)``, for families with M-RoPE.

        Parameters as of `layouts`.

        Raises
        ------
        UnsupportedError
            For all other families.
        """
        raise UnsupportedError(f"{self.name} counts its tokens one by one, as the model does: leave position_ids out")

    @abstractmethod
    def encode(self, processor: ProcessorMixin, prompts: Sequence[Prompt]) -> BatchFeature:
        """Turn prompts into the model's inputs, padded on the left, in the family's chat template."""

    @abstractmethod
    def config(self, arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
        """Build the model's configuration from architecture numbers, for random weights."""

    def load_original(
        self, source: str, revision: str | None, dtype: torch.dtype, attn: str
    ) -> tuple[nn.Module, ProcessorMixin] | None:
        """Load a checkpoint in a layout that transformers does not read; None if this is none."""
        return None

    @abstractmethod
    def processor(self, config: PretrainedConfig, tokenizer: Any) -> ProcessorMixin:
        """Build a processor that fits `config`, for random weights."""

    def cap(self, processor: Any, most: int | None, by: int) -> None:
        """Limit the pixels of a picture and of a video's frame, for families that take pictures of any size.

        Parameters
        ----------
        processor : ProcessorMixin
            Changed in place.
        most : int or None
            At most so many pixels; None leaves the processor's own limit.
        by : int
            Divides the limit.

        Raises
        ------
        WinnowError
            If the family's pictures have one size.
        """
        raise WinnowError(
            f"model.max_pixels={most} has no meaning for {self.name}: its tower takes pictures of one size"
        )

    def prune_itself(self, processor: Any, acts: bool) -> None:
        """Let the model's own pruning of visual tokens act, or not.

        Parameters
        ----------
        processor : ProcessorMixin
            Changed in place.
        acts : bool

        Raises
        ------
        WinnowError
            If it has none.
        """
        raise WinnowError(f"model.own_pruning={str(acts).lower()} has no meaning for {self.name}: leave it out")


def runs(mask: Tensor) -> list[tuple[int, int]]:
    """Start and stop of each contiguous run of True in a 1-D mask."""
    edges = torch.diff(mask.int(), prepend=torch.zeros(1, dtype=torch.int), append=torch.zeros(1, dtype=torch.int))
    starts, stops = (edges == 1).nonzero().flatten(), (edges == -1).nonzero().flatten()
    return list(zip(starts.tolist(), stops.tolist(), strict=True))


def fill(text: str, token: str, written: Sequence[str]) -> str:
    """Write something in place of each placeholder of a text, in turn.

    Raises
    ------
    WinnowError
        If the text has more or fewer of them.
    """
    first, *rest = text.split(token)
    if len(rest) != len(written):
        raise WinnowError(
            f"the prompt says {token} {len(rest)} times for {len(written)} pictures: take it out of the text"
        )
    return first + "".join(map("".join, zip(written, rest, strict=True)))


def prepared_film(processor: Any, film: Any, clock: Mapping[str, Any], **more: Any) -> BatchFeature:
    """What a processor makes of one film and its times, of which no frame is sampled away."""
    told = {"video_metadata": [clock], "do_sample_frames": False, "return_metadata": True}
    made: BatchFeature = processor.video_processor([film], **told, **more, return_tensors="pt")
    return made

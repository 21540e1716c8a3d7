"""Tower, projector, pooling, placeholders, LLM: one forward for all composed models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModel, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from winnow.models.composed.config import ComposedConfig
from winnow.models.transformers_api import CACHE, CACHE_NAMES, cache_of
from winnow.reducers.core.errors import WinnowError

WITH_CLS = ("clip_vision_model", "internvl_vision")


class Projector(nn.Module):
    """Two linear layers, behind a join of 2x2 patches and a norm where the model downsamples."""

    def __init__(self, config: ComposedConfig) -> None:
        super().__init__()
        self.downsample = config.downsample
        hidden = config.text_config.hidden_size
        width = config.vision_config.hidden_size * (4 if config.downsample else 1)
        self.norm = nn.LayerNorm(width) if config.downsample else nn.Identity()
        self.linear_1, self.linear_2 = nn.Linear(width, hidden), nn.Linear(hidden, hidden)

    def forward(self, features: Tensor) -> Tensor:
        """Map ``(frames, patches, width)`` to ``(frames, vectors, hidden)``."""
        features = join(features) if self.downsample else features
        projected: Tensor = self.linear_2(functional.gelu(self.linear_1(self.norm(features))))
        return projected


def join(features: Tensor) -> Tensor:
    """Join 2x2 patches by channel, zeros beyond an odd border.

    VILA hands the joined grid on transposed: its vectors go down the columns of the picture (NVlabs/VILA,
    llava/model/multimodal_projector/base_projector.py, `flat_square`: it swaps the axes once).
    """
    side = round(features.shape[1] ** 0.5)
    grid = features.unflatten(1, (side, side))
    grid = functional.pad(grid, (0, 0, 0, side % 2, 0, side % 2))
    grid = grid.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # frames, rows, 2, columns, 2, width
    return grid.permute(0, 3, 1, 2, 4, 5).flatten(3).flatten(1, 2)


class ComposedPreTrainedModel(PreTrainedModel):
    """What transformers has to know about both classes below."""

    config_class = ComposedConfig
    base_model_prefix = "model"
    input_modalities = ("image", "text")
    _supports_flash_attn = True
    _supports_sdpa = True
    _supports_attention_backend = True
    _skip_keys_device_placement = CACHE_NAMES


class ComposedModel(ComposedPreTrainedModel):
    """Everything but the LM head."""

    def __init__(self, config: ComposedConfig) -> None:
        super().__init__(config)
        self.vision_tower = AutoModel.from_config(config.vision_config)
        self.multi_modal_projector = Projector(config)
        self.language_model = AutoModel.from_config(config.text_config)
        if config.newline:
            width = config.text_config.hidden_size
            self.image_newline = nn.Parameter(torch.randn(width) / width**0.5)
        self.post_init()

    def encode(self, pixels: Tensor) -> Tensor:
        """Visual vectors of frames, ``(frames, tokens_per_frame, hidden)``, from pixels ``(frames, 3, height, width)``.

        As for the native models the features are taken from all hidden states of the tower, whose last block may run in
        vain.
        """
        states = self.vision_tower(pixels, output_hidden_states=True).hidden_states[self.config.vision_feature_layer]
        features = states[:, int(self.config.vision_config.model_type in WITH_CLS) :]
        features = self.apply_pooling(self.multi_modal_projector(features))
        if not self.config.newline:
            return features
        rows = features.unflatten(1, (self.config.side, -1))
        newline = self.image_newline.to(rows).expand(*rows.shape[:2], 1, -1)
        return torch.cat([rows, newline], 2).flatten(1, 2)

    def apply_pooling(self, features: Tensor) -> Tensor:
        """Average windows of ``(frames, patches, hidden)``."""
        if self.config.pool == 1:
            return features
        grid = features.unflatten(1, (self.config.patches, -1)).permute(0, 3, 1, 2)
        return functional.avg_pool2d(grid, self.config.pool).flatten(2).mT

    def embed(self, ids: Tensor, pixels: Tensor | None, frames: Tensor | None) -> Tensor:
        """Embeddings of the prompts, visual vectors in their places; parameters as in `forward`."""
        table = self.language_model.embed_tokens
        embeds: Tensor = table(ids.clamp(max=table.num_embeddings - 1))
        if pixels is None or frames is None:
            return embeds
        taken = torch.arange(pixels.shape[1], device=pixels.device) < frames.sum(1, keepdim=True)
        vectors = self.encode(pixels[taken]).flatten(0, 1).to(embeds)
        slots = ids == self.config.image_token_id
        if len(vectors) != int(slots.sum()):
            raise WinnowError(f"{int(slots.sum())} placeholder tokens do not fit {len(vectors)} visual vectors")
        return embeds.masked_scatter(slots[..., None], vectors)

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        frames: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Put the visual vectors into the prompt and call the LLM.

        Parameters
        ----------
        input_ids : Tensor
            Shape ``(batch, length)``.
        pixel_values : Tensor or None
            The frames of each prompt's pictures in a row, ``(batch, frames, 3, height, width)``, padded with anything.
        frames : Tensor or None
            How many frames each picture has, ``(batch, pictures)``, padded with zeros.
        attention_mask, position_ids, inputs_embeds, **kwargs
            As the LLM takes them, the KV cache among them under either of its names.
        """
        if input_ids is not None:
            inputs_embeds = self.embed(input_ids, pixel_values, frames)
        output: BaseModelOutputWithPast = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            **kwargs,
        )
        return output


class ComposedForConditionalGeneration(ComposedPreTrainedModel, GenerationMixin):
    """A composed model with its LM head."""

    _tied_weights_keys = {"lm_head.weight": "model.language_model.embed_tokens.weight"}  # noqa: RUF012

    def __init__(self, config: ComposedConfig) -> None:
        super().__init__(config)
        self.model = ComposedModel(config)
        self.lm_head = nn.Linear(config.text_config.hidden_size, config.text_config.vocab_size, bias=False)
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The LLM's token embeddings."""
        return self.model.language_model.embed_tokens

    def get_output_embeddings(self) -> nn.Module:
        """The LM head."""
        return self.lm_head

    def forward(
        self,
        input_ids: Tensor | None = None,
        pixel_values: Tensor | None = None,
        frames: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits of the last `logits_to_keep` tokens, 0 for all; see `ComposedModel.forward`."""
        output = self.model(
            input_ids=input_ids,
            pixel_values=pixel_values,
            frames=frames,
            attention_mask=attention_mask,
            position_ids=position_ids,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        return CausalLMOutputWithPast(
            logits=self.lm_head(output.last_hidden_state[:, kept]),
            **{CACHE: cache_of(output)},
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )

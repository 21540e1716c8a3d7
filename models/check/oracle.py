"""The mask-out oracle: what the model must say when tokens are removed, computed without removing any.

One pass over prompt and answer, without cache and hooks, through the model's own decoder layers. A token that a method
dropped before layer k is still computed, but from layer k on its column is masked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from winnow.models.engine.trace import PromptTrace
from winnow.models.families.base import Parts
from winnow.models.transformers_api import attention_of


@torch.no_grad()
def oracle_logits(
    model: nn.Module, parts: Parts, inputs: Mapping[str, Any], answer: Tensor, trace: PromptTrace
) -> Tensor:
    """Logits of each answer token under the drops that `trace` tells.

    Parameters
    ----------
    model, parts
        The plain model; nothing may be attached to it.
    inputs : mapping
        One unpadded prompt.
    answer : Tensor
        Generated token ids, shape ``(steps,)``.
    trace : PromptTrace
        Which visual token was last seen where.

    Returns
    -------
    Tensor
        Shape ``(steps, vocabulary)``: row i is what the model says before answer token i.
    """
    hidden, original, added = entrance(model, parts, inputs, answer)
    length, total = trace.layout.length, hidden.shape[1]
    causal = torch.ones(total, total, dtype=torch.bool, device=hidden.device).tril()
    itself = torch.eye(total, dtype=torch.bool, device=hidden.device)
    llm: Any = parts.llm
    for number, layer in enumerate(parts.layers):
        present = torch.ones(total, dtype=torch.bool)
        present[trace.layout.visual] = trace.last_layer >= number
        mask = (causal & present.to(hidden.device)) | itself
        hidden = layer(
            hidden,
            attention_mask=as_mask(mask[None, None], hidden.dtype, attention_of(llm.config)),
            position_embeddings=llm.rotary_emb(hidden, original),
        )
        hidden = hidden + added[number] if number < len(added) else hidden
    head: Any = model
    logits: Tensor = head.lm_head(llm.norm(hidden[0, length - 1 : total - 1]))
    return logits


def as_mask(mask: Tensor, dtype: torch.dtype, implementation: str) -> Tensor:
    """The mask in the form that the attention implementation takes."""
    if implementation == "sdpa":
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)


def entrance(
    model: nn.Module, parts: Parts, inputs: Mapping[str, Any], answer: Tensor
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Embeddings and position ids of prompt and answer, and what is added behind the first layers (deepstack).

    As the plain model hands them to its LLM.
    """
    caught: list[dict[str, Any]] = []
    handle = parts.llm.register_forward_pre_hook(lambda module, args, kwargs: caught.append(kwargs), with_kwargs=True)
    try:
        model(**inputs, use_cache=False)
    finally:
        handle.remove()
    llm: Any = parts.llm
    embeds, positions = caught[0]["inputs_embeds"], caught[0].get("position_ids")
    if positions is None:
        positions = torch.arange(embeds.shape[1], device=embeds.device)[None]
    if "mrope_section" in (llm.config.rope_parameters or {}):
        positions = positions[-3:].expand(3, 1, -1)  # 5.17 numbers prompts without pictures in one dimension
    later = positions.max() + 1 + torch.arange(len(answer), device=embeds.device)
    positions = torch.cat([positions, later.expand(*positions.shape[:-1], -1)], -1)
    embeds = torch.cat([embeds, llm.embed_tokens(answer[None])], 1)
    added = []
    for features in caught[0].get("deepstack_visual_embeds") or ():
        added.append(torch.zeros_like(embeds))
        added[-1][0, caught[0]["visual_pos_masks"][0].nonzero().flatten()] = features
    return embeds, positions, added

"""The mask-out oracle: what the model must say when tokens are removed, computed without removing any.

One pass over prompt and answer, without cache and hooks, through the model's own decoder layers. A token that a method
dropped before layer k is still computed, but from layer k on its column is masked. A layer that carries a state is
shown what is left, as a masked token would go on acting in it.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from winnow.models.check.sharing import Keys, fed, identities
from winnow.models.engine.trace import PromptTrace
from winnow.models.engine.windows import both_ways_layers, windows
from winnow.models.families import family_of
from winnow.models.families.base import Parts
from winnow.models.transformers_api import FED, attention_of


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
    return conversation_logits(model, parts, inputs, answer, [trace])[trace.layout.length - 1 : -1]


@torch.no_grad()
def conversation_logits(
    model: nn.Module, parts: Parts, inputs: Mapping[str, Any], answer: Tensor, turns: Sequence[PromptTrace]
) -> Tensor:
    """Logits behind each token of a conversation under the drops of all its turns.

    Parameters
    ----------
    model, parts
        See `oracle_logits`.
    inputs : mapping
        All turns as one unpadded prompt, earlier answers among them.
    answer : Tensor
        Token ids behind it, shape ``(steps,)``.
    turns : sequence of PromptTrace
        Which visual tokens of each turn were last seen where.

    Returns
    -------
    Tensor
        Shape ``(length + steps, vocabulary)``.
    """
    hidden, positions, added, identity = entrance(model, parts, inputs, answer)
    llm: Any = parts.llm
    total, place = hidden.shape[1], torch.arange(hidden.shape[1])
    far, keys = windows(llm.config, len(parts.layers)), Keys(llm, len(parts.layers))
    own = None if identity is None else fed(llm, hidden, identity)
    together, both_ways = same_picture(model, turns, total), both_ways_layers(family_of(model), far)
    for number, layer in enumerate(parts.layers):
        present = torch.ones(total, dtype=torch.bool)
        for trace in turns:
            present[trace.layout.visual + trace.start] = trace.last_layer >= number
        distance = place[:, None] - place
        seen = (distance >= 0) | together if number in both_ways else distance >= 0
        mask = seen & (distance < (far[number] or total)) & present | (distance == 0)
        for trace in turns:
            mask &= read_while_decoding(trace, number, place)
        shown = as_mask(mask[None, None].to(hidden.device), hidden.dtype, attention_of(llm.config))
        turned = angles(llm, hidden, positions, number)
        if hasattr(layer, "linear_attn"):
            left = present.nonzero().flatten().to(hidden.device)
            hidden = hidden.index_copy(1, left, layer(hidden[:, left], attention_mask=None, position_embeddings=turned))
        else:
            more = keys.told(layer, number, range(total))
            more |= {} if own is None else {"per_layer_input": own[:, :, number]}
            hidden = layer(hidden, attention_mask=shown, position_embeddings=turned, **more)
        hidden = hidden + added[number] if number < len(added) else hidden
    return said(model, llm.norm(hidden[0]))


def said(model: Any, normed: Tensor) -> Tensor:
    """The logits of hidden states behind the final norm, which Gemma 4 bends to stay within bounds."""
    logits: Tensor = model.lm_head(normed)
    cap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits / cap)


def read_while_decoding(trace: PromptTrace, layer: int, tokens: Tensor) -> Tensor:
    """Which tokens of a prompt and its answer a layer reads by what was chosen at each step, ``(tokens, tokens)``."""
    read = torch.ones(len(tokens), len(tokens), dtype=torch.bool)
    for number, step in enumerate(trace.decoded):
        if step is not None and layer >= step.site.number:
            unread = trace.layout.visual[~torch.isin(trace.layout.visual, step.reduction.keep)]
            asking = tokens == trace.start + trace.layout.length + number
            read &= ~(asking[:, None] & torch.isin(tokens, unread + trace.start))
    return read


def same_picture(model: nn.Module, turns: Sequence[PromptTrace], total: int) -> Tensor:
    """Which of a conversation's tokens are of one picture, ``(total, total)``, where these see each other both ways."""
    number, family = torch.zeros(total, dtype=torch.long), family_of(model)
    for trace in turns if family.both_ways else ():
        if family.one_block:
            number[torch.cat([trace.layout.visual, trace.layout.separators]) + trace.start] = number.max() + 1
            continue
        last = -2
        for place in (trace.layout.visual + trace.start).tolist():
            number[place] = int(number.max()) + (place != last + 1)
            last = place
    return (number[:, None] == number) & (number > 0)


def angles(llm: Any, hidden: Tensor, positions: Tensor, layer: int) -> Any:
    """Rotary embedding of a layer, which may depend on its type."""
    types = getattr(llm.config, "layer_types", None) or ()
    typed = "layer_type" in inspect.signature(llm.rotary_emb.forward).parameters
    if positions.ndim == 2 and hasattr(llm.rotary_emb, "mrope_section"):
        positions = positions[None].expand(3, -1, -1)  # as 5.23 does by itself, and 5.17 does not
    return llm.rotary_emb(hidden, positions, *([types[layer]] if typed else []))


def as_mask(mask: Tensor, dtype: torch.dtype, implementation: str) -> Tensor:
    """The mask in the form that the attention implementation takes."""
    if implementation == "sdpa":
        return mask
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)


def entrance(
    model: nn.Module, parts: Parts, inputs: Mapping[str, Any], answer: Tensor
) -> tuple[Tensor, Tensor, list[Tensor], Tensor | None]:
    """Embeddings and position ids of prompt and answer, as the plain model hands them to its LLM.

    And what is added behind the first layers (deepstack), and `identities`.
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
    if family_of(model).mrope:
        positions = positions[-3:].expand(3, 1, -1)  # 5.17 numbers prompts without pictures in one dimension
    later = positions.max() + 1 + torch.arange(len(answer), device=embeds.device)
    positions = torch.cat([positions, later.expand(*positions.shape[:-1], -1)], -1)
    embeds = torch.cat([embeds, llm.embed_tokens(answer[None])], 1)
    added = []
    for features in caught[0].get("deepstack_visual_embeds") or ():
        added.append(torch.zeros_like(embeds))
        added[-1][0, caught[0]["visual_pos_masks"][0].nonzero().flatten()] = features
    return embeds, positions, added, identities(llm, caught[0].get(FED), answer)

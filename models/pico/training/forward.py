"""The forward of training: many questions behind one shared video, without what none looks at.

The visual prefix is one stream, the questions are another: a question sees the prefix and itself. What one long
sequence would compute and mask away is not computed at all.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import LlavaForConditionalGeneration
from transformers.models.qwen2.modeling_qwen2 import Qwen2DecoderLayer, Qwen2Model, Qwen2RMSNorm, rotate_half

from winnow.models.pico.build import TOKEN_IDS
from winnow.models.pico.questions import BOS
from winnow.models.pico.training.packing import Pack, full_length

PREFIX = (TOKEN_IDS[BOS], TOKEN_IDS["user"])
Rotary = tuple[Tensor, Tensor]


@dataclass
class Stream:
    """Tokens on their way through the layers: hidden states (batch, tokens, width) and the rotary angles."""

    hidden: Tensor
    rotary: Rotary


def answer_states(
    model: LlavaForConditionalGeneration, visual: Tensor, places: Tensor, text: Pack, frames: int, depth: int
) -> tuple[Tensor, Tensor]:
    """Run the language model on packed questions with the knock-out.

    Parameters
    ----------
    model
        Only its language model is used.
    visual
        Visual tokens after the projector, shape (batch, kept, width).
    places
        Their indices among the unreduced visual tokens, shape (batch, kept).
    text
        The questions.
    frames
        Frames of the unreduced prompt, which gives the text its positions.
    depth
        Number of layers, from the first, in which text does not see visual tokens.

    Returns
    -------
    states : torch.Tensor
        Final hidden states of the text, shape (batch, questions, tokens, width).
    leak : torch.Tensor
        Attention that text would pay to visual tokens in one of the knocked-out layers, drawn at random; a scalar.
    """
    language: Qwen2Model = model.model.language_model
    start = len(PREFIX)
    prefix = language.embed_tokens(torch.tensor(PREFIX).expand(len(visual), -1))
    seen = _stream(language, torch.cat([prefix, visual], 1), torch.cat([_first(places, start), start + places], 1))
    after = start + full_length(frames) + torch.arange(text.tokens.shape[-1]).repeat(text.tokens.shape[1])
    asked = _stream(language, language.embed_tokens(text.tokens).flatten(1, 2), after.expand(len(visual), -1))
    probed = int(torch.randint(depth, ())) if depth else -1
    leak = torch.zeros(())
    for number, layer in enumerate(language.layers):
        blind = start if number < depth else None
        mass = _layer(
            layer, seen, asked, text.tokens.shape[1], blind, number == probed, number + 1 < len(language.layers)
        )
        if number == probed:
            leak = (mass.unflatten(1, text.tokens.shape[1:]) * text.real).sum() / text.real.sum()
    return _norm(language.norm, asked.hidden).unflatten(1, text.tokens.shape[1:]), leak


def _first(places: Tensor, start: int) -> Tensor:
    return torch.arange(start).expand(len(places), -1)


def _stream(language: Qwen2Model, hidden: Tensor, positions: Tensor) -> Stream:
    cos, sin = language.rotary_emb(hidden, positions)
    return Stream(hidden, (cos[:, None], sin[:, None]))


def _layer(
    layer: Qwen2DecoderLayer, seen: Stream, asked: Stream, number: int, blind: int | None, probe: bool, more: bool
) -> Tensor:
    """Pass one layer in place; return the attention mass on the visual span where it is probed.

    `blind` is how much of the prefix the questions see, None all of it; the prefix goes on only if there is `more`.
    """
    (query, key, value), (ask, own_key, own_value) = _projected(layer, seen), _projected(layer, asked)
    mass = torch.zeros(())
    if probe:
        mass = _mass(ask, key, own_key, number, len(PREFIX))
    shown = slice(blind)
    mixed = _attend(ask, key[:, :, shown], value[:, :, shown], own_key, own_value, number)
    asked.hidden = _finish(layer, asked.hidden, mixed)
    if more:
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        seen.hidden = _finish(layer, seen.hidden, mixed)
    return mass


def _norm(norm: Qwen2RMSNorm, hidden: Tensor) -> Tensor:
    return F.rms_norm(hidden, hidden.shape[-1:], norm.weight, norm.variance_epsilon)


def _projected(layer: Qwen2DecoderLayer, stream: Stream) -> tuple[Tensor, Tensor, Tensor]:
    """Return query, key and value, shape (batch, heads, tokens, head width), keys and values once per query head."""
    attention = layer.self_attn
    parts = (attention.q_proj, attention.k_proj, attention.v_proj)
    weight, bias = torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts])
    normed = _norm(layer.input_layernorm, stream.hidden)
    heads = F.linear(normed, weight, bias).unflatten(-1, (-1, attention.head_dim)).transpose(1, 2)
    many, groups = parts[0].out_features // attention.head_dim, attention.num_key_value_groups
    turned, value = heads.split([heads.shape[1] - many // groups, many // groups], 1)
    cos, sin = stream.rotary
    turned = turned * cos + rotate_half(turned) * sin
    query, key = turned.split([many, many // groups], 1)
    return query, key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)


def _scores(ask: Tensor, key: Tensor, own_key: Tensor, number: int) -> Tensor:
    """Return the log-weights for the prefix and for the question itself, (batch, heads, questions, tokens, seen)."""
    ask, own_key = (x.unflatten(2, (number, -1)) for x in (ask * ask.shape[-1] ** -0.5, own_key))
    before = (ask.flatten(2, 3) @ key.mT).unflatten(2, ask.shape[2:4])
    later = torch.full(ask.shape[3:4] * 2, -torch.inf).triu(1)
    return torch.cat([before, ask @ own_key.mT + later], -1)


def _attend(ask: Tensor, key: Tensor, value: Tensor, own_key: Tensor, own_value: Tensor, number: int) -> Tensor:
    """Let each question look at the prefix and at itself."""
    weights = _scores(ask, key, own_key, number).softmax(-1)
    before, own = weights.split([key.shape[2], weights.shape[-1] - key.shape[2]], -1)
    return before.flatten(2, 3) @ value + (own @ own_value.unflatten(2, (number, -1))).flatten(2, 3)


def _mass(ask: Tensor, key: Tensor, own_key: Tensor, number: int, start: int) -> Tensor:
    """Return the share of attention that each question token would pay to the visual span, (batch, tokens)."""
    weights = _scores(ask, key, own_key, number).softmax(-1)
    return weights[..., start : key.shape[2]].sum(-1).mean(1).flatten(1)


def _finish(layer: Qwen2DecoderLayer, hidden: Tensor, mixed: Tensor) -> Tensor:
    """Add what attention found, then the MLP."""
    hidden = hidden + layer.self_attn.o_proj(mixed.transpose(1, 2).flatten(2))
    normed, mlp = _norm(layer.post_attention_layernorm, hidden), layer.mlp
    gate, up = F.linear(normed, torch.cat([mlp.gate_proj.weight, mlp.up_proj.weight])).chunk(2, -1)
    return hidden + mlp.down_proj(F.silu(gate) * up)

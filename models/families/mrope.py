"""Position ids in three dimensions (M-RoPE): temporal, vertical, horizontal.

The rule is that of transformers 4.57.6, with which these models came out: text counts by one in all dimensions, the
tokens of a picture or film spread from where they begin, and what follows stands behind the largest of their positions.
transformers 5 lets it follow at their beginning + max(rows, columns), among the positions of a film that is longer than
its frames are wide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from winnow.reducers.core.layout import Layout, Span

if TYPE_CHECKING:
    from winnow.models.families.base import Family


def position_ids(family: Family, outer: Any, inputs: Mapping[str, Any]) -> Tensor:
    """Position ids as the model was trained with them.

    Parameters
    ----------
    family : Family
        One with M-RoPE.
    outer : nn.Module
        The multimodal model, see `Parts`.
    inputs : mapping
        Whole prompts, as the processor makes them: ``input_ids``, ``attention_mask`` and the sizes of the pictures.

    Returns
    -------
    Tensor
        Shape ``(3, batch, length)``; 0 at padding.
    """
    ids: Tensor = inputs["input_ids"]
    mask = inputs.get("attention_mask")
    real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()
    prompts = [row[there].cpu() for row, there in zip(ids, real, strict=True)]
    made = ids.new_zeros(3, *ids.shape)
    for b, found in enumerate(family.positions(outer, prompts, inputs)):
        made[:, b, real[b]] = found.to(made)
    return made


def spread(layout: Layout, apart: Sequence[int]) -> Tensor:
    """Number one prompt.

    Parameters
    ----------
    layout : Layout
        The prompt.
    apart : sequence of int
        For each of its spans, how far apart two temporal steps stand.

    Returns
    -------
    Tensor
        Shape ``(3, length)``.
    """
    made = [torch.zeros(3, 0, dtype=torch.long)]
    done = place = 0
    for span, by in zip(layout.spans, apart, strict=True):
        for block in _blocks(span):
            start, grid = int(block[0]), _grid(len(block), span, by)
            made += [_text(place, start - done), grid + place + start - done]
            place, done = int(made[-1].max()) + 1, start + len(block)
    return torch.cat([*made, _text(place, layout.length - done)], 1)


def _blocks(span: Span) -> Sequence[Tensor]:
    """The places of a span, cut where text stands between them."""
    return torch.tensor_split(span.positions, (span.positions.diff() > 1).nonzero().flatten() + 1)


def _grid(tokens: int, span: Span, by: int) -> Tensor:
    rank = torch.arange(tokens)
    step, cell = rank // (span.rows * span.cols), rank % (span.rows * span.cols)
    return torch.stack([step * by, cell // span.cols, cell % span.cols])


def _text(place: int, tokens: int) -> Tensor:
    return (torch.arange(tokens) + place).expand(3, -1)

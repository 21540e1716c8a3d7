"""Views made by hand, for methods without a model."""

from collections.abc import Mapping

import torch
from torch import Tensor

from reducers.layout import Layout, Span
from reducers.probes import Rows
from reducers.reduction import View


def layout(*grids: tuple[int, int, int], head: int = 3, gap: int = 2, tail: int = 5, key: str = "k") -> Layout:
    """A prompt with text before, between and after visual spans."""
    spans, place = [], head
    for frames, rows, cols in grids:
        size = frames * rows * cols
        spans.append(Span(torch.arange(place, place + size), frames, rows, cols))
        place += size + gap
    return Layout(place - gap + tail if grids else head + tail, tuple(spans), key=key)


def view(
    prompt: Layout,
    layer: int = 0,
    signals: Mapping[tuple[Rows, int], Tensor] | None = None,
    removed_at: Tensor | None = None,
    depth: int = 28,
) -> View:
    """The prompt at the input of a layer, with what was removed before."""
    gone = torch.full((prompt.length,), -1) if removed_at is None else removed_at
    index = (gone < 0).nonzero().flatten()
    return View(prompt, index, torch.zeros(len(index), 4), layer, depth, gone, signals or {})

"""What a tower must make of the patches that a method left: picture by picture, block by block, without hooks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from winnow.models.engine.trace import PromptTrace
from winnow.models.families.base import Parts

Filled = tuple[Tensor, Tensor, list[Tensor]]
"""Prompt indices of visual tokens, their vectors, and their deepstack features."""


@torch.no_grad()
def replay_pixels(model: nn.Module, parts: Parts, inputs: Mapping[str, Any], trace: PromptTrace) -> Filled | None:
    """The visual tokens of one unpadded prompt under the choice of patches that `trace` tells; None if there was none.

    What enters the first block, and how it is turned, is caught in a plain forward; each picture then goes through the
    blocks by itself, as a row of those of its patches that stayed.
    """
    step = next((step for step in trace.steps if step.site.kind == "pixels"), None)
    if step is None:
        return None
    tower: Any = parts.tower
    left = set(step.reduction.keep.tolist())
    places, vectors, planes = list[Tensor](), list[Tensor](), list[list[Tensor]]()
    caught = {films: iter(_pictures(model, parts, inputs, films)) for films in (False, True)}
    for span in trace.layout.spans:
        hidden, cos, sin, frames = next(caught[span.film])
        cells = [place for place, token in enumerate(span.positions.tolist()) if token in left]
        rows = torch.tensor([4 * cell + corner for cell in cells for corner in range(4)])
        step_of = rows // (len(hidden) // frames)
        ends = torch.nn.functional.pad(step_of.bincount(minlength=frames).cumsum(0), (1, 0)).int()
        state, turned, own = hidden[rows], (cos[rows], sin[rows]), list[Tensor]()
        for number, block in enumerate(parts.blocks):
            state = block(state, cu_seqlens=ends, position_embeddings=turned)
            if number in getattr(tower, "deepstack_visual_indexes", ()):
                merger = tower.deepstack_merger_list[tower.deepstack_visual_indexes.index(number)]
                own.append(merger(state))
        places.append(span.positions[cells])
        vectors.append(parts.projector(state))
        planes.append(own)
    return torch.cat(places), torch.cat(vectors), [torch.cat(list(plane)) for plane in zip(*planes, strict=True)]


def _pictures(
    model: nn.Module, parts: Parts, inputs: Mapping[str, Any], films: bool
) -> list[tuple[Tensor, Tensor, Tensor, int]]:
    """What enters the first block of the tower, its rotary cosine and sine, and the frames, of each picture or film."""
    tower: Any = parts.tower
    pixels = inputs.get("pixel_values_videos" if films else "pixel_values")
    if pixels is None:
        return []
    grids, caught = inputs["video_grid_thw" if films else "image_grid_thw"], list[tuple[Tensor, Any]]()
    handle = parts.blocks[0].register_forward_pre_hook(
        lambda module, args, kwargs: caught.append((args[0], kwargs["position_embeddings"])), with_kwargs=True
    )
    try:
        tower(pixels, grid_thw=grids)
    finally:
        handle.remove()
    sizes = grids.prod(-1).tolist()
    hidden, (cos, sin) = caught[0]
    rows = zip(hidden.split(sizes), cos.split(sizes), sin.split(sizes), grids[:, 0].tolist(), strict=True)
    return list(rows)

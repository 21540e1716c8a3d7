"""The hooks of a method that chooses patches in front of the vision tower.

For towers that take the patches of all pictures as one row, square by square as their merger joins them (Qwen2-VL,
Qwen3-VL). The patches that stay go through the blocks with the rotary embedding that they had; behind each merger the
vectors are filled up to the number that the model expects, and the LLM's entrance drops the slots that hold nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial, update_wrapper
from typing import Any, cast

import torch
from torch import Tensor, nn

from winnow.models.engine.reuse import fresh_tower, replaced
from winnow.models.families.base import Parts
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span
from winnow.reducers.core.pixels import PixelView
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture or film that went through the tower: its grid of squares, and which of them stayed (None: all)."""

    grid: tuple[int, int, int]
    kept: Tensor | None


class PixelSession:
    """See the module; one per `attach`."""

    def __init__(self, parts: Parts, reducer: Reducer) -> None:
        self.parts, self.reducer, self.site = parts, reducer, Site.pixels(len(parts.layers))
        self.passes: dict[bool, list[Picture]] = {}
        self.films = False
        self.stays: Tensor | None = None
        vision = cast(Any, parts.tower).config
        self.merge, self.copies, self.channels = vision.spatial_merge_size**2, vision.temporal_patch_size, 3

    def hook(self, stack: ExitStack) -> None:
        """Register everything, to be removed when the stack closes."""
        tower, outer = cast(Any, self.parts.tower), cast(Any, self.parts.outer)
        stack.enter_context(fresh_tower(tower))
        for films, name in ((False, "get_image_features"), (True, "get_video_features")):
            encode = getattr(outer, name)  # generate asks it which arguments it takes
            watched = update_wrapper(partial(self._features, films, encode), encode)
            stack.enter_context(replaced(outer, name, watched))
        stack.callback(tower.register_forward_pre_hook(self._before_tower, with_kwargs=True).remove)
        for number, block in enumerate(self.parts.blocks):
            hook = partial(self._before_block, number)
            stack.callback(block.register_forward_pre_hook(hook, with_kwargs=True).remove)
        for merger in (self.parts.projector, *getattr(tower, "deepstack_merger_list", ())):
            stack.callback(merger.register_forward_hook(self._after_merger).remove)

    def _features(self, films: bool, compute: Any, *args: Any, **kwargs: Any) -> Any:
        """In place of the model's encoding of pictures, or of films, which may go by that of pictures."""
        before, self.films = self.films, films or self.films
        try:
            return compute(*args, **kwargs)
        finally:
            self.films = before

    def _before_tower(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Ask the method about each picture."""
        rows = args[0] if args else kwargs["hidden_states"]
        grids = (args[1] if len(args) > 1 else kwargs["grid_thw"]).tolist()
        parts = rows.split([int(t * h * w) for t, h, w in grids])
        side = round(self.merge**0.5)
        sizes = [(int(t), int(h) // side, int(w) // side) for t, h, w in grids]
        found = [Picture(size, self._kept(patches, size)) for size, patches in zip(sizes, parts, strict=True)]
        self.passes[self.films] = found
        whole = all(picture.kept is None for picture in found)
        self.stays = None if whole else torch.cat([_mask(picture) for picture in found]).to(rows.device)

    def _kept(self, patches: Tensor, size: tuple[int, int, int]) -> Tensor | None:
        if self.films or size[0] > 1:
            return None
        values = patches.unflatten(1, (self.channels, self.copies, -1))[:, :, 0].flatten(1)
        squares = values.reshape(-1, self.merge * values.shape[1]).float().cpu()
        answer = self.reducer.reduce(PixelView(self.site, squares, *size[1:]))
        if answer is None or len(answer.keep) == len(squares):
            return None
        if not len(answer.keep):
            raise WinnowError(f"reducer={self.reducer.name} leaves nothing of a picture: one square has to stay")
        return answer.keep

    def _before_block(self, number: int, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Give the blocks what is left, with its rotary embedding and the bounds of the pictures."""
        if self.stays is None:
            return None
        stays = self.stays.repeat_interleave(self.merge)
        ends = torch.nn.functional.pad(stays.cumsum(0), (1, 0))[kwargs["cu_seqlens"].long()]
        more = {
            "cu_seqlens": ends.to(kwargs["cu_seqlens"].dtype),
            "position_embeddings": tuple(part[stays] for part in kwargs["position_embeddings"]),
        }
        if kwargs.get("max_seqlen") is not None:
            more["max_seqlen"] = type(kwargs["max_seqlen"])(int(ends.diff().max()))
        return (args if number else (args[0][stays], *args[1:])), kwargs | more

    def _after_merger(self, module: nn.Module, args: tuple[Any, ...], vectors: Tensor) -> Tensor | None:
        if self.stays is None:
            return None
        full = vectors.new_zeros(len(self.stays), vectors.shape[1])
        full[self.stays] = vectors
        return full

    def answers(self, layouts: Sequence[Layout]) -> list[Reduction | None]:
        """What the entrance has to drop: the slots without a vector, per prompt."""
        spans = [span for layout in layouts for span in layout.spans]
        passed = {films: self.passes[films] for films in {span.film for span in spans}}
        if all(picture.kept is None for pictures in passed.values() for picture in pictures):
            return [None] * len(layouts)
        times = len(spans) // sum(map(len, passed.values()))
        left = {films: iter(pictures) for films, pictures in passed.items()}
        return [answer for layout in layouts[::times] for answer in [self._answer(layout, left)] * times]

    def _answer(self, layout: Layout, left: dict[bool, Iterator[Picture]]) -> Reduction | None:
        keep = [_placed(span, next(left[span.film])) for span in layout.spans]
        return Reduction(torch.cat(keep)) if keep else None


def _mask(picture: Picture) -> Tensor:
    frames, rows, cols = picture.grid
    if picture.kept is None:
        return torch.ones(frames * rows * cols, dtype=torch.bool)
    return torch.zeros(rows * cols, dtype=torch.bool).index_fill_(0, picture.kept, True)


def _placed(span: Span, picture: Picture) -> Tensor:
    """Prompt indices of what is left of a span."""
    grid = (span.frames, span.rows, span.cols)
    if grid != picture.grid:
        raise WinnowError(f"a picture of {picture.grid} went through the tower, but the prompt has one of {grid}")
    return span.positions if picture.kept is None else span.positions[picture.kept]

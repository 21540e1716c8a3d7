"""Any-resolution images, as LLaVA-OneVision and LLaVA-NeXT cut them up.

A square base view of the whole image, then its unpadded grid of tiles in finer resolution with a newline token behind
each row; an image that is not tiled has one newline behind its base view.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from transformers import PretrainedConfig
from transformers.models.llava_onevision.modeling_llava_onevision import get_anyres_image_grid_shape, unpad_image

from winnow.models.families.base import runs
from winnow.models.transformers_api import encoded
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout, Span

Piece = tuple[int, list[Span], list[int]]
"""Tokens of one picture, its spans and its separators, counted from its first token."""
Tiles = Callable[[int, Tensor], tuple[int, int]]


def lay(
    ids: Tensor, config: PretrainedConfig, images: Iterator[Piece], videos: Iterator[Piece] | None = None
) -> Layout:
    """Lay the pictures of one prompt over its runs of placeholder tokens; adjacent pictures share one run.

    Raises
    ------
    WinnowError
        If placeholders and pictures do not fit together.
    """
    placeholders = [(config.image_token_id, images)] + ([(config.video_token_id, videos)] if videos else [])
    found = [(start, stop, pieces) for token, pieces in placeholders for start, stop in runs(ids == token)]
    spans: list[Span] = []
    separators: list[int] = []
    for start, stop, pieces in sorted(found, key=lambda run: run[0]):
        while start < stop:
            length, parts, newlines = next(pieces, (0, [], []))
            if not 0 < length <= stop - start:
                raise WinnowError(f"{stop - start} placeholder tokens do not fit the pictures given (next: {length})")
            spans += [replace(part, positions=part.positions + start) for part in parts]
            separators += [start + newline for newline in newlines]
            start += length
    return Layout(len(ids), tuple(spans), torch.tensor(separators, dtype=torch.long))


def image_pieces(outer: Any, inputs: Mapping[str, Any], tiles: Tiles | None = None) -> Iterator[Piece]:
    """One piece per image, in the order of the batch; `generate` may have encoded the pixels beforehand.

    Parameters
    ----------
    outer : nn.Module
        The multimodal model, see `Parts`.
    inputs : mapping
        Of its forward.
    tiles : callable or None
        Place and size of an image to rows and columns of its grid of tiles; None: `tile_grid`.
    """
    config, made = outer.config, encoded(inputs, "image")
    side = config.vision_config.image_size // config.vision_config.patch_size
    if made is not None:
        for features in made.pooler_output:
            yield encoded_piece(side, features, outer.image_newline)
        return
    sizes = inputs.get("image_sizes")
    for number, size in enumerate(() if sizes is None else sizes):
        yield image_piece(side, *(tile_grid(config, size) if tiles is None else tiles(number, size)))


def image_piece(side: int, rows: int, cols: int) -> Piece:
    """A base view of side x side, then rows x cols of tiles; without columns of tiles, `rows` newlines alone."""
    base = Span(torch.arange(side * side), 1, side, side)
    grid = torch.arange(rows * (cols + 1)).view(rows, cols + 1) + len(base)
    tiles = [Span(grid[:, :-1].flatten(), 1, rows, cols, view=1)] if cols else []
    return len(base) + grid.numel(), [base, *tiles], grid[:, -1].tolist()


def encoded_piece(side: int, features: Tensor, newline: Tensor) -> Piece:
    """The piece of an image from its packed features, ``(tokens, width)``, by the newlines in them."""
    newlines = int((features == newline.to(features)).all(-1).sum())
    return image_piece(side, newlines, (len(features) - side * side) // newlines - 1)


def pinpoints(side: int) -> list[list[int]]:
    """Heights and widths in pixels of the grids of tiles that the released LLaVA-NeXT models cut pictures into."""
    return [[side * rows, side * cols] for rows, cols in ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))]


def tile_grid(config: PretrainedConfig, size: Tensor) -> tuple[int, int]:
    """Rows and columns of patches in an image's tiles once the padding is cut off; `size` is its height and width."""
    vision = config.vision_config
    side = vision.image_size // vision.patch_size
    tall, wide = get_anyres_image_grid_shape(size, config.image_grid_pinpoints, vision.image_size)
    rows, cols = unpad_image(torch.empty(1, tall * side, wide * side, device="meta"), size).shape[1:]
    return rows, cols


def tile_patches(side: int, rows: int, cols: int, grids: Sequence[tuple[int, int]]) -> Tensor:
    """Where the patches of each tile stand in a grid of tiles whose padding was cut off.

    Parameters
    ----------
    side : int
        Patches along a tile.
    rows, cols : int
        The grid: padding went at both ends of one of its sides.
    grids : sequence of (int, int)
        Rows and columns of tiles that the model chooses from. Those that leave this grid show the picture in one size,
        of which the model takes the smallest, the first of equals.

    Returns
    -------
    Tensor
        Cells of the grid, -1 for patches that were cut off, shape ``(tiles, side * side)``.
    """
    spare = [(tall * side - rows, wide * side - cols) for tall, wide in grids]
    fitting = [grid for grid, cut in zip(grids, spare, strict=True) if min(cut) == 0]
    if not fitting:
        raise WinnowError(f"a picture of {rows} x {cols} patches comes from none of the model's grids of tiles")
    tall, wide = min(fitting, key=math.prod)
    top, left = (tall * side - rows) // 2, (wide * side - cols) // 2
    whole = torch.full((tall * side, wide * side), -1)
    whole[top : top + rows, left : left + cols] = torch.arange(rows * cols).view(rows, cols)
    return whole.view(tall, side, wide, side).transpose(1, 2).reshape(tall * wide, side * side)

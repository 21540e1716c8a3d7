"""Where the visual tokens of one prompt lie: spans of frames x rows x columns between text and separators."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple, Self

import torch

if TYPE_CHECKING:
    from torch import Tensor

Scope = Literal["span", "prompt"]
"""Over what a method's quota counts: each span on its own, or all visual tokens of the prompt together."""


def _no_positions() -> Tensor:
    return torch.empty(0, dtype=torch.long)


class Grid(NamedTuple):
    """The size of a span: frames, tokens in each, and columns where they are known; which view of its picture it is."""

    frames: int
    tokens_per_frame: int
    columns: int | None = None
    view: int = 0

    @property
    def tokens(self) -> int:
        """Visual tokens in all frames."""
        return self.frames * self.tokens_per_frame

    @property
    def cols(self) -> int:
        """Columns of a frame; where they are unknown a square is assumed, else a single row."""
        side = math.isqrt(self.tokens_per_frame)
        return self.columns or max(1, side if side * side == self.tokens_per_frame else self.tokens_per_frame)

    @property
    def rows(self) -> int:
        """Rows of a frame."""
        return self.tokens_per_frame // self.cols


def pools(grids: Sequence[Grid], scope: Scope) -> list[Grid]:
    """Sizes of what has a quota of its own: the spans, or all of them as one.

    Spans of frames of one size make one span of all these frames, others a single row.
    """
    if scope == "span" or len(grids) < 2:
        return list(grids)
    frames, tokens = sum(grid.frames for grid in grids), sum(grid.tokens for grid in grids)
    alike = len({grid[1:3] for grid in grids}) == 1
    return [Grid(frames, *grids[0][1:3]) if alike else Grid(1, tokens, tokens)]


class Width(NamedTuple):
    """Numbers in one token: of its hidden state, and of one head's share of it."""

    hidden: int
    head: int


@dataclass(frozen=True, eq=False)
class Span:
    """A grid of visual tokens.

    Parameters
    ----------
    positions : Tensor
        Prompt indices of the grid cells in raster order, shape ``(frames * rows * cols,)``, ascending. They need not be
        contiguous: separators may stand between rows or frames.
    frames, rows, cols : int
        The grid.
    tower : int
        Which of the model's vision towers it went through, where there are several.
    view : int
        Which view of its picture it is, where a picture is shown as several spans in a row: 0 for the first.
    patches : Tensor or None
        Where the tower's frames are not those of the grid (tiles, whose padding was cut off): the cell of each of their
        patches, -1 where it was cut off, shape ``(tower frames, patches)``. None: each frame is one of the tower's.
    film : bool
        Whether the model encodes it among its films, where it tells them from pictures by their placeholders.
    """

    positions: Tensor
    frames: int
    rows: int
    cols: int
    tower: int = 0
    view: int = 0
    patches: Tensor | None = None
    film: bool = False

    def __post_init__(self) -> None:
        """Refuse a grid that does not fit its positions."""
        if len(self.positions) != self.frames * self.rows * self.cols:
            raise ValueError(f"{len(self.positions)} positions for a {self.frames}x{self.rows}x{self.cols} grid")

    @property
    def grid(self) -> Grid:
        """The size."""
        return Grid(self.frames, self.rows * self.cols, self.cols, self.view)

    @property
    def cells(self) -> Tensor:
        """The cell of each patch of the tower's frames, -1 where it was cut off, ``(tower frames, patches)``."""
        return torch.arange(len(self)).view(self.frames, -1) if self.patches is None else self.patches

    def __len__(self) -> int:
        """Visual tokens in the span."""
        return len(self.positions)


@dataclass(frozen=True, eq=False)
class Layout:
    """One unpadded prompt.

    Parameters
    ----------
    length : int
        Tokens in the prompt.
    spans : tuple of Span
        The visual spans in prompt order.
    separators : Tensor
        Prompt indices of tokens that belong to the picture but show nothing (newlines between rows or frames); they
        are neither candidates for removal nor text.
    key : str
        Names the sample (seed, task, document); all randomness is derived from it, so that batches, order and
        resumption cannot change a choice.
    relevance : Tensor or None
        How much each visual token has to do with the question, shape ``(visual,)``; known for synthetic data only.
    gone : int
        Visual tokens that the model's own processor had taken away before the prompt was written.
    """

    length: int
    spans: tuple[Span, ...] = ()
    separators: Tensor = field(default_factory=_no_positions)
    key: str = ""
    relevance: Tensor | None = None
    gone: int = 0

    @classmethod
    def of(cls, length: int, *spans: tuple[int, tuple[int, int, int]], key: str = "") -> Self:
        """Lay out a prompt by hand.

        Parameters
        ----------
        length : int
            Tokens in the prompt.
        spans : (int, (int, int, int))
            Where a span begins, and its frames, rows and columns; its tokens follow each other.
        key : str
            See `Layout`.
        """
        made = [Span(torch.arange(start, start + math.prod(grid)), *grid) for start, grid in spans]
        return cls(length, tuple(made), key=key)

    @cached_property
    def visual(self) -> Tensor:
        """Prompt indices of all visual tokens, shape ``(visual,)``, ascending."""
        return torch.cat([span.positions for span in self.spans]) if self.spans else _no_positions()

    @cached_property
    def is_visual(self) -> Tensor:
        """Mask over the prompt, shape ``(length,)``."""
        mask = torch.zeros(self.length, dtype=torch.bool)
        mask[self.visual] = True
        return mask

    @property
    def tiled(self) -> bool:
        """Whether the tower saw any picture in tiles that the prompt shows without their padding."""
        return any(span.patches is not None for span in self.spans)

    @cached_property
    def is_question(self) -> Tensor:
        """Mask over the prompt of the text after the last visual token: the rows that can see every visual token."""
        mask = ~self.is_visual
        mask[self.separators] = False
        if len(self.visual):
            mask[: int(self.visual[-1])] = False
        return mask

    @cached_property
    def question(self) -> Tensor:
        """Prompt indices of that text, ascending."""
        return self.is_question.nonzero().flatten()

    def pools(self, scope: Scope) -> tuple[Span, ...]:
        """What has a quota of its own: the spans, or all visual tokens as one span, see `pools`."""
        if scope == "span" or len(self.spans) < 2:
            return self.spans
        (grid,) = pools([span.grid for span in self.spans], scope)
        return (Span(self.visual, grid.frames, grid.rows, grid.cols),)

    def generator(self, *salt: object) -> torch.Generator:
        """Random numbers that depend on the sample's key and the salt alone."""
        digest = hashlib.sha256("/".join(map(str, (self.key, *salt))).encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "big") >> 1)

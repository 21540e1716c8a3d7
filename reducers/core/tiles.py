"""What the methods share that choose at the LLM's entrance among the views of a picture: the whole and its tiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.entrance import arrange
from winnow.reducers.core.layout import Grid, Layout, Span
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, Uncut

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Tiles:
    """The grid of tiles of one picture.

    Parameters
    ----------
    span : Span
        Shows them, without their padding.
    first : int
        Tiles of the prompt that stand before them.
    """

    span: Span
    first: int

    @property
    def cells(self) -> list[Tensor]:
        """Per tile the places in the span that show it, in raster order."""
        return [cells[cells >= 0] for cells in self.span.cells]

    @property
    def cols(self) -> int:
        """Tiles in a row: those whose patches stand in the rows of the first one that shows any."""
        rows = [(cells // self.span.cols).unique().tolist() for cells in self.cells]
        first = next(row for row in rows if row)
        return rows.count(first)

    @property
    def owner(self) -> Tensor:
        """The tile of each cell of the span, shape ``(rows, cols)``."""
        owner = torch.zeros(len(self.span), dtype=torch.long)
        for number, cells in enumerate(self.cells):
            owner[cells] = number
        return owner.view(self.span.rows, self.span.cols)


@dataclass(frozen=True)
class TileChooser(Reducer, ABC):
    """Base of the methods that keep some tokens of each picture's views as they are, judged by the vision tower.

    Parameters
    ----------
    ratio : float
        Share of each picture's visual tokens that enters the LLM, in (0, 1].
    positions : {"compact", "keep"}
        Position ids of the survivors.
    """

    adaptive: ClassVar[bool] = True
    reads_tiles: ClassVar[bool] = True

    ratio: float = 0.25
    positions: Literal["compact", "keep"] = "compact"

    @abstractmethod
    def whole(self, view: View, base: Span, tiles: Tiles | None) -> Tensor:
        """Choose in the view of a whole picture, or in a frame of a film; tiles are None where it has no other view.

        Returns
        -------
        Tensor
            Places in the span in the order in which they are to stand, on the CPU.
        """

    @abstractmethod
    def parts(self, view: View, base: Span, tiles: Tiles) -> Tensor:
        """Choose in the tiles of a picture, whose whole view `base` is; returns likewise."""

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return (Site.entrance(depth),)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: the rounded share of each view; how a picture's views share it, its content says."""
        return min(present, grid.frames * max(1, round(grid.tokens_per_frame * self.ratio)))

    def reduce(self, view: View) -> Reduction | None:
        """Choose in each picture."""
        if self.ratio >= 1:
            return None
        chosen: list[Tensor] = []
        for base, tiles in pictures(view.layout):
            size = base.rows * base.cols
            frames = [_frame(base, number) for number in range(base.frames)]
            own = torch.cat([self.whole(view, x, tiles) + i * size for i, x in enumerate(frames)])
            others = [] if tiles is None else [self.parts(view, base, tiles)]
            if not any(map(len, (own, *others))):  # an official budget below one token
                own = told(view, base)[-1].argmax()[None].cpu()
            chosen += [own, *others]
        return arrange([span.positions for span in view.layout.spans], chosen, view.visual, self.positions)


def pictures(layout: Layout) -> Iterator[tuple[Span, Tiles | None]]:
    """The pictures and films of a prompt: the view of it all, and the tiles where there are any."""
    seen = 0
    for span, after in zip_longest(layout.spans, layout.spans[1:]):
        if span.view == 0:
            tiles = Tiles(after, seen) if after is not None and after.view else None
            seen += 0 if tiles is None else len(tiles.cells)
            yield span, tiles


def told(view: View, span: Span) -> list[Tensor]:
    """What blocks of the vision tower say of each token of a span, by rising block, each ``(tokens,)``."""
    found = {block: value for (probe, block), value in view.signals.items() if not isinstance(probe, Uncut)}
    return [found[block][span.positions] for block in sorted(found)]


def uncut(view: View, tiles: Tiles) -> Tensor:
    """What the last of these blocks says of all patches of a picture's tiles, ``(tiles, patches)``; see `Uncut`."""
    found = {block: value for (probe, block), value in view.signals.items() if isinstance(probe, Uncut)}
    return found[max(found)][tiles.first : tiles.first + len(tiles.cells)]


def _frame(span: Span, number: int) -> Span:
    size = span.rows * span.cols
    return replace(span, positions=span.positions[number * size : (number + 1) * size], frames=1)

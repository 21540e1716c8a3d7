"""Prompts with pictures in padded tiles, drawn by hand, and what the vision tower says of them."""

from dataclasses import dataclass

import torch
from torch import Tensor
from views import view

from winnow.reducers.core.layout import Layout, Span
from winnow.reducers.core.reduction import View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import TowerProbe, Uncut

GRIDS = ((1, 2), (2, 1), (2, 2), (3, 1), (1, 3))


@dataclass(frozen=True)
class Picture:
    """A picture in ``tall x wide`` tiles of ``side x side`` patches, `top` rows or `left` columns of it padding."""

    side: int
    tall: int
    wide: int
    top: int
    left: int

    @property
    def rows(self) -> int:
        return self.tall * self.side - 2 * self.top

    @property
    def cols(self) -> int:
        return self.wide * self.side - 2 * self.left

    @property
    def tiles(self) -> int:
        return self.tall * self.wide

    def cell(self, tile: int, patch: int) -> int:
        """The cell of the grid without padding that shows a patch, -1 where it was cut off."""
        row = tile // self.wide * self.side + patch // self.side - self.top
        col = tile % self.wide * self.side + patch % self.side - self.left
        return row * self.cols + col if 0 <= row < self.rows and 0 <= col < self.cols else -1

    def tile_of(self, cell: int) -> int:
        """The tile that shows a cell."""
        row, col = cell // self.cols + self.top, cell % self.cols + self.left
        return row // self.side * self.wide + col // self.side


def draw_picture(random: torch.Generator, side: int) -> Picture:
    """A picture with padding at both ends of one of its sides, or none."""
    tall, wide = GRIDS[int(torch.randint(0, len(GRIDS), (), generator=random))]
    cut = int(torch.randint(0, (side - 1) // 2 + 1, (), generator=random))
    upright = bool(torch.randint(0, 2, (), generator=random))
    return Picture(side, tall, wide, cut * upright, cut * (not upright))


def draw_pictures(seed: int) -> tuple[torch.Generator, int, list[Picture]]:
    """The source of what else is drawn, the side of a view in patches, and one picture or two."""
    random = torch.Generator().manual_seed(seed)
    side = int(torch.randint(2, 7, (), generator=random))
    return random, side, [draw_picture(random, side) for _ in range(1 + seed % 2)]


def prompt_of(pictures: list[Picture]) -> Layout:
    """Text, the pictures with a newline behind each row of tiles, text."""
    spans: list[Span] = []
    newlines: list[Tensor] = []
    place = 3
    for one in pictures:
        spans.append(Span(torch.arange(place, place + one.side**2), 1, one.side, one.side))
        place += one.side**2
        grid = torch.arange(place, place + one.rows * (one.cols + 1)).view(one.rows, one.cols + 1)
        patches = [[one.cell(tile, patch) for patch in range(one.side**2)] for tile in range(one.tiles)]
        spans.append(Span(grid[:, :-1].flatten(), 1, one.rows, one.cols, view=1, patches=torch.tensor(patches)))
        newlines.append(grid[:, -1])
        place += grid.numel()
    return Layout(place + 5, tuple(spans), torch.cat(newlines))


def seen(layout: Layout, said: dict[tuple[TowerProbe, int], list[Tensor]]) -> View:
    """The prompt at the LLM's entrance, with what blocks said of each picture's views, ``(1 + tiles, patches)``."""
    signals: dict[tuple[TowerProbe, int], Tensor] = {}
    for (probe, block), values in said.items():
        row = torch.zeros(layout.length, dtype=values[0].dtype)
        for number, value in enumerate(values):
            base, tiles = layout.spans[2 * number : 2 * number + 2]
            row[base.positions] = value[0]
            for cells, told in zip(tiles.cells, value[1:], strict=True):
                row[tiles.positions[cells[cells >= 0]]] = told[cells >= 0]
        signals[probe, block] = row
        signals[Uncut(probe), block] = torch.cat([value[1:] for value in values])
    return view(layout, Site.entrance(28), signals, hidden=torch.zeros(layout.length, 1))  # type: ignore[arg-type]

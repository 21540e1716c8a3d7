"""Pictures of a prompt, their views, and where their tiles stand among all that were encoded."""

import torch

from winnow.reducers.core.layout import Layout, Span
from winnow.reducers.core.reduction import View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tiles import Tiles, pictures, told, uncut
from winnow.reducers.core.tower import ClsRow, ColumnMean, Uncut


def span(start: int, frames: int, rows: int, cols: int, view: int = 0, patches: list[list[int]] | None = None) -> Span:
    places = torch.arange(start, start + frames * rows * cols)
    return Span(places, frames, rows, cols, view=view, patches=None if patches is None else torch.tensor(patches))


WIDE = [[0, 1, 4, 5], [2, 3, 6, 7]]
"""Two tiles of 2 x 2 beside each other in 2 x 4 cells."""
CUT = [[-1, -1, 0, 1], [2, 3, -1, -1]]
"""Two tiles below each other in 2 x 2 cells: padding above and below."""
PROMPT = Layout(
    60,
    (span(1, 3, 1, 2), span(10, 1, 2, 2), span(14, 1, 2, 4, 1, WIDE), span(30, 1, 2, 2), span(34, 1, 2, 2, 1, CUT),
     span(50, 1, 1, 1)),
)  # fmt: skip


def test_views_belong_to_the_picture_before_them() -> None:
    found = list(pictures(PROMPT))
    assert [int(base.positions[0]) for base, _ in found] == [1, 10, 30, 50]
    assert [None if tiles is None else (int(tiles.span.positions[0]), tiles.first) for _, tiles in found] == [
        None, (14, 0), (34, 2), None,
    ]  # fmt: skip
    assert list(pictures(Layout(3))) == []


def test_tiles_know_their_cells() -> None:
    wide, cut = (tiles for _, tiles in pictures(PROMPT) if tiles is not None)
    assert [cells.tolist() for cells in wide.cells] == WIDE and (wide.cols, cut.cols) == (2, 1)
    assert [cells.tolist() for cells in cut.cells] == [[0, 1], [2, 3]]
    assert wide.owner.tolist() == [[0, 0, 1, 1]] * 2 and cut.owner.tolist() == [[0, 0], [1, 1]]


def test_a_tile_of_padding_alone_is_in_no_row() -> None:
    """The first shows nothing; the second and third stand in the first row that shows anything."""
    tiles = Tiles(span(0, 1, 1, 2, 1, [[-1], [0], [1]]), 0)
    assert tiles.cols == 2 and tiles.owner.tolist() == [[1, 2]]


def test_what_the_tower_says_comes_by_block_and_by_tile() -> None:
    deep, shallow, tiles = torch.arange(60.0), torch.arange(60.0) * 2, torch.arange(16.0).view(4, 4)
    signals = {(ClsRow(), 22): deep, (ColumnMean(), 3): shallow, (Uncut(ClsRow()), 22): tiles}
    view = View.of(PROMPT, torch.zeros(60, 2), Site.entrance(8), signals)
    assert [row.tolist() for row in told(view, PROMPT.spans[1])] == [[20, 22, 24, 26], [10, 11, 12, 13]]
    wide, cut = (tiles for _, tiles in pictures(PROMPT) if tiles is not None)
    assert torch.equal(uncut(view, wide), tiles[:2]) and torch.equal(uncut(view, cut), tiles[2:])
    more = signals | {(Uncut(ClsRow()), 5): -tiles}
    assert torch.equal(uncut(View.of(PROMPT, torch.zeros(60, 2), Site.entrance(8), more), wide), tiles[:2])

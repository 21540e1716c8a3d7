"""Windows over a grid, against loops."""

from itertools import product

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from winnow.reducers.core.layout import Grid
from winnow.reducers.core.pooling import anchors, lowest, window_counts, windows

SIDES = st.tuples(*[st.integers(1, 5)] * 3)


@settings(max_examples=25)
@given(SIDES, SIDES)
def test_windows_are_numbered_in_raster_order(sides: tuple[int, int, int], window: tuple[int, int, int]) -> None:
    frames, rows, cols = sides
    cells = [*product(range(frames), range(rows), range(cols))]
    found = [tuple(at // length for at, length in zip(cell, window, strict=True)) for cell in cells]
    order = {name: number for number, name in enumerate(sorted(set(found)))}
    grid = Grid(frames, rows * cols, cols)
    assert windows(grid, window).tolist() == [order[name] for name in found]
    counts = window_counts(grid, window)
    assert counts[0] * counts[1] * counts[2] == len(order)
    assert counts == tuple(len({name[side] for name in found}) for side in range(3))


@settings(max_examples=25)
@given(SIDES, SIDES, st.integers(0, 99))
def test_the_lowest_of_each_window_by_rising_value(
    sides: tuple[int, int, int], window: tuple[int, int, int], seed: int
) -> None:
    frames, rows, cols = sides
    grid, chance = Grid(frames, rows * cols, cols), torch.Generator().manual_seed(seed)
    cells = (torch.rand(grid.tokens, generator=chance) < 0.6).nonzero().flatten()
    values = torch.randint(4, (len(cells),), generator=chance).float()  # with ties
    number, best = windows(grid, window), {}
    for token in sorted(range(len(cells)), key=lambda one: (float(values[one]), one)):
        best.setdefault(int(number[cells[token]]), token)
    assert lowest(values, cells, grid, window).tolist() == [*best.values()]


def test_a_window_is_named_by_its_first_or_last_member() -> None:
    number, positions = torch.tensor([0, 2, 0, 2, 1]), torch.tensor([7, 3, 5, 9, 4])
    assert anchors(number, positions, "first").tolist() == [5, 3, 5, 3, 4]
    assert anchors(number, positions, "last").tolist() == [7, 9, 7, 9, 4]
    assert anchors(number[:0], positions[:0], "last").tolist() == []

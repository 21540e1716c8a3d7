"""GlobalCom2 against its released code, written as loops."""

import math
from collections.abc import Sequence

import pytest
import torch
from seeds import seeds
from tiled import Picture, draw_pictures, prompt_of, seen
from views import layout, view

from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import ClsLogits, ClsRow, Tower
from winnow.reducers.globalcom2 import GlobalCom2

CLIP = Tower(blocks=24, used=23, rows=24, cols=24, cls=True)


def rank(values: Sequence[float]) -> list[int]:
    return sorted(range(len(values)), key=lambda i: (-values[i], i))


def shares(one: Picture, whole: list[float], ratio: float) -> list[float]:
    high, wide = max(one.side // one.tall, 1), max(one.side // one.wide, 1)
    sums = [0.0] * one.tiles
    for place, value in enumerate(whole):
        row, col = min(place // one.side // high, one.tall - 1), min(place % one.side // wide, one.wide - 1)
        sums[row * one.wide + col] += value
    raised = [math.exp((value - max(sums)) / 10) for value in sums]
    parts = [value / (sum(raised) + 1e-8) for value in raised]
    return [min(ratio * (1 + part - sum(parts) / len(parts)), 1.0) for part in parts]


def stretched(one: Picture, whole: list[float], row: int, col: int) -> float:
    """Bilinear, corners not aligned."""
    sides = []
    for place, size in ((row, one.rows), (col, one.cols)):
        at = max((place + 0.5) * one.side / size - 0.5, 0)
        low = int(at)
        sides.append((low, min(low + 1, one.side - 1), at - low))
    (up, down, v), (left, right, h) = sides
    rows = [whole[y * one.side + left] * (1 - h) + whole[y * one.side + right] * h for y in (up, down)]
    return rows[0] * (1 - v) + rows[1] * v


def unit(values: list[float]) -> list[float]:
    length = max(math.sqrt(sum(value**2 for value in values)), 1e-12)
    return [value / length for value in values]


def released(one: Picture, said: list[list[float]], ratio: float, official: bool) -> tuple[list[int], list[int]]:
    """Places of the whole view and cells of the tiles, each in the order in which they stand."""
    kept = []
    for tile, share in enumerate(shares(one, said[0], ratio)):
        real = [(one.cell(tile, p), said[1 + tile][p]) for p in range(one.side**2) if one.cell(tile, p) >= 0]
        global_ = unit([stretched(one, said[0], *divmod(cell, one.cols)) for cell, _ in real])
        own = unit([value for _, value in real])
        for number in rank([a + b for a, b in zip(own, global_, strict=True)])[: int(len(real) * share)]:
            row, col = divmod(number, one.side)  # as if the tile had no padding
            moved = (tile // one.wide * one.side + row, tile % one.wide * one.side + col)
            kept.append((moved if official else divmod(real[number][0], one.cols), real[number][0]))
    least = 0 if official and kept else 1  # the released code may leave nothing of a picture
    return rank(said[0])[: max(least, int(one.side**2 * ratio))], [cell for _, cell in sorted(kept)]


@pytest.mark.parametrize("variant", ["mended", "official"])
@seeds(120)
def test_it_is_the_released_code(seed: int, variant: str) -> None:
    random, side, pictures = draw_pictures(seed)
    drawn = [torch.randn(1 + one.tiles, side**2, generator=random, dtype=torch.double) * 2 for one in pictures]
    ratio, prompt = [0.25, 0.08, 0.6, 0.95][seed % 4], prompt_of(pictures)
    state = seen(prompt, {(ClsLogits(), 23): drawn})
    numbers = torch.arange(prompt.length)[:, None].float()
    answer = GlobalCom2(ratio=ratio, variant=variant).reduce(state)  # type: ignore[arg-type]
    expected = []
    for number, (one, said) in enumerate(zip(pictures, drawn, strict=True)):
        told = released(one, said.tolist(), ratio, variant == "official")
        for span, places in zip(prompt.spans[2 * number :], told, strict=False):
            expected += span.positions[places].tolist()
    assert answer.apply(numbers[prompt.visual], prompt.visual)[:, 0].long().tolist() == expected
    assert answer.positions == "compact" and answer.drop_text is None


def test_a_salient_tile_keeps_up_to_twice_as_many() -> None:
    one = Picture(4, 2, 2, 0, 0)
    said = torch.zeros(5, 16)
    said[0, [0, 1, 4, 5]] = 1000  # the first tile's area
    kept = GlobalCom2(ratio=0.3).reduce(seen(prompt_of([one]), {(ClsLogits(), 23): [said]})).keep
    tiles = prompt_of([one]).spans[1].positions
    cells = torch.isin(tiles, kept).nonzero().flatten().tolist()
    assert [sum(one.tile_of(cell) == tile for cell in cells) for tile in range(4)] == [8, 3, 3, 3]


def test_films_and_pictures_in_one_view_keep_their_share() -> None:
    prompt = layout((2, 2, 4))
    row = torch.zeros(prompt.length)
    row[prompt.visual] = torch.tensor([0.0, 5, 1, 4, 2, 3, 0, 0, 9, 0, 0, 0, 0, 0, 0, 8])
    state = view(prompt, Site.entrance(28), {(ClsLogits(), 23): row})
    answer = GlobalCom2(ratio=0.25).reduce(state)
    picked = answer.apply(torch.arange(16.0)[:, None], prompt.visual)[:, 0].tolist()
    assert picked == [1, 3, 8, 15] and answer.weights is None
    assert GlobalCom2(ratio=0.25).plan([(2, 8)], 28) == [4] * 28


def test_numbers() -> None:
    assert GlobalCom2().tower_probes(CLIP) == ((ClsLogits(), 23),)
    assert GlobalCom2(values="attention").tower_probes(CLIP) == ((ClsRow(), 22),)

"""PixelPrune against its released code, written as loops."""

import math

import pytest
import torch
from seeds import seeds

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.pixels import PixelView
from winnow.reducers.core.site import Site
from winnow.reducers.pixelprune import PixelPrune

Square = list[float]


def alike(a: Square, b: Square, method: PixelPrune) -> bool:
    apart = [abs(x - y) / 2 for x, y in zip(a, b, strict=True)]
    means = {"max": max(apart), "mae": sum(apart) / len(apart)}
    means["rmse"] = math.sqrt(sum(x * x for x in apart) / len(apart))
    return means[method.metric] <= method.tau


def kept(squares: list[Square], rows: int, cols: int, method: PixelPrune) -> list[int]:
    """Places that stay; what each stands for is what it is compared with, if the method is anchored."""
    stands, left = list(squares), [0]
    for place in range(1, rows * cols):
        row, col = divmod(place, cols)
        told = stands[place - 1] if col or method.scan == "raster" else stands[place - cols]
        if row and col and method.scan == "2d":
            upper, corner = stands[place - cols], stands[place - cols - 1]
            if alike(corner, told, method) and not alike(corner, upper, method):
                told = upper
        if alike(squares[place], told, method):
            stands[place] = told if method.anchored else squares[place]
        else:
            left.append(place)
    return left


@seeds(200)
def test_it_is_the_released_code(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    rows, cols = (int(n) for n in torch.randint(1, 8, (2,), generator=random))
    method = PixelPrune(
        tau=[0.0, 0.1, 0.25][seed % 3],
        metric=["max", "mae", "rmse"][seed // 3 % 3],
        scan="raster" if seed % 4 == 0 else "2d",
        anchored=seed % 5 > 0,
    )
    levels = torch.randint(0, 2 + seed % 4, (rows, cols, 1), generator=random).double() / 4
    levels = torch.where(torch.rand(rows, 1, 1, generator=random) < 0.5, levels, levels[:, :1])
    pixels = (levels + (torch.rand(rows, cols, 6, generator=random) < 0.1) * 0.25).flatten(0, 1)
    answer = method.reduce(PixelView(Site.pixels(4), pixels, rows, cols))
    assert answer is not None and answer.keep.tolist() == kept(pixels.tolist(), rows, cols, method)


def test_a_box_is_its_corners() -> None:
    """Flat ground needs one square; a box its first one, and the ground behind its first row and below it."""
    ground = torch.zeros(6, 6, 4)
    whole = PixelView(Site.pixels(4), ground.flatten(0, 1), 6, 6)
    assert PixelPrune().reduce(whole).keep.tolist() == [0]
    ground[2:4, 1:4] = 1.0
    boxed = PixelView(Site.pixels(4), ground.flatten(0, 1), 6, 6)
    assert PixelPrune().reduce(boxed).keep.tolist() == [0, 13, 16, 25]


def test_counts_are_estimates_and_films_stay_whole() -> None:
    assert PixelPrune().plan([Grid(1, 100, 10), Grid(4, 100, 10)], 3) == [450] * 3
    assert PixelPrune().keep_all().plan([Grid(1, 100, 10)], 3) == [100] * 3
    assert str(Site.pixels(3)) == "pixels" and PixelPrune().sites(3) == (Site.pixels(3),)
    with pytest.raises(WinnowError, match=r"reducer.tau=1 is not allowed"):
        PixelPrune(tau=1)

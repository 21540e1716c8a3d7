"""HiPrune against its released code, written as loops."""

import pytest
import torch
from seeds import seeds
from towers import check, draw, frame, natural

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.tower import ClsRow, ColumnMean, Tower
from winnow.reducers.hiprune import HiPrune


def around(anchors: list[int], n: int, cols: int) -> set[int]:
    return {min(max(p + step, 0), n - 1) for p in anchors for step in (0, -1, 1, -cols, cols)}


@seeds(200)
def test_it_is_the_released_code(seed: int) -> None:
    random = draw(seed)
    rows, cols = (int(n) for n in torch.randint(2, 9, (2,), generator=random))
    tower = Tower(8, 7, rows, cols, cls=bool(seed % 2))
    method = HiPrune(ratio=[0.25, 0.5, 0.8][seed % 3], alpha=[0.1, 0.5, 1.0, 0.0][seed % 4])
    view, n = frame(tower, method, tower.used, tower.patches, seed), tower.patches
    if seed % 5:
        natural(view, seed)
    received = []
    for block in (2, 6):
        values = view.signals[ColumnMean(), block].tolist()
        if tower.cls:
            values = [
                (n * v + c) / (n + 1) for v, c in zip(values, view.signals[ClsRow(), block].tolist(), strict=True)
            ]
        received.append([round(value, 7) for value in values])
    total = max(1, round(n * method.ratio))
    anchors = sorted(range(n), key=lambda p: (-received[0][p], p))
    number = round(total * method.alpha / 5)
    while len(kept := around(anchors[:number], n, cols)) > total:  # where the released code stops with an error
        number -= 1
    rest = sorted((p for p in range(n) if p not in kept), key=lambda p: (-received[1][p], p))
    kept |= set(rest[: total - len(kept)])
    answer = method.reduce(view)
    if total == n:
        assert answer is None
        return
    check(view, answer)
    assert answer.keep.tolist() == sorted(kept) and len(kept) == total


def test_blocks_of_the_paper() -> None:
    """Behind the ninth of 24 blocks, and the one that yields LLaVA-1.5's features."""
    probes = HiPrune().tower_probes(Tower(24, 23, 24, 24, cls=True))
    assert probes == ((ColumnMean(), 8), (ClsRow(), 8), (ColumnMean(), 22), (ClsRow(), 22))
    assert HiPrune(guide="cls").tower_probes(Tower(24, 23, 24, 24, cls=True)) == ((ClsRow(), 8), (ClsRow(), 22))
    with pytest.raises(WinnowError, match="alpha=2"):
        HiPrune(alpha=2.0)

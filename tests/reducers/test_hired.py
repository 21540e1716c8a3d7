"""HiRED against its released code, written as loops."""

from collections.abc import Sequence

import pytest
import torch
from seeds import seeds
from tiled import Picture, draw_pictures, prompt_of, seen

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.tower import ClsRow, ColumnMean, Tower
from winnow.reducers.hired import HiRED

CLIP = Tower(blocks=24, used=23, rows=24, cols=24, cls=True)


def rank(values: Sequence[float]) -> list[int]:
    return sorted(range(len(values)), key=lambda i: (-values[i], i))


def content(one: Picture, area: set[int], official: bool) -> list[int]:
    """Patches of the whole view that count for each tile."""
    counts, size = [0] * one.tiles, one.side**2
    for patch in area:
        if official:
            longer, short = size % one.tiles, size // one.tiles
            tile = patch // (short + 1) if patch < longer * (short + 1) else (patch - longer) // short
        else:
            row, col = (2 * (patch // one.side) + 1) * one.rows, (2 * (patch % one.side) + 1) * one.cols
            tile = one.tile_of(row // (2 * one.side) * one.cols + col // (2 * one.side))
        counts[tile] += 1
    return counts


def released(
    one: Picture, early: list[list[float]], late: list[list[float]], ratio: float, alpha: float, official: bool
) -> tuple[list[int], list[int]]:
    """Places kept in the whole view, and cells kept of the tiles."""
    size = one.side**2
    held = one.tiles * size if official else one.rows * one.cols
    total = int((size + held) * ratio)
    first = min(max(int(total * alpha), 1 if alpha and not official else 0), size)
    rest = min(total - first, held)
    counts = content(one, set(rank(early[0])[: int(size * (1 - alpha))]), official)
    kept = []
    for tile in range(one.tiles):
        share = torch.tensor(counts[tile]) / torch.tensor(sum(counts)) if any(counts) else torch.tensor(1 / one.tiles)
        quota = int(share * rest)
        order = [patch for patch in rank(late[1 + tile]) if official or one.cell(tile, patch) >= 0]
        kept += [one.cell(tile, patch) for patch in order[:quota]]
    first = first or int(not any(cell >= 0 for cell in kept))  # the released code leaves nothing of the picture
    return sorted(rank(late[0])[:first]), sorted(cell for cell in kept if cell >= 0)


@pytest.mark.parametrize("variant", ["mended", "official"])
@seeds(120)
def test_it_is_the_released_code(seed: int, variant: str) -> None:
    random, side, pictures = draw_pictures(seed)
    ratio, alpha = [0.2, 0.05, 0.6, 0.95][seed % 4], [0.5, 0.2, 0.9, 0.0, 1.0][seed % 5]
    drawn = [torch.randint(0, 50 if seed % 3 else 4, (2, 1 + p.tiles, side**2), generator=random) for p in pictures]
    early, late = ([x[block].double() for x in drawn] for block in (0, 1))
    layout = prompt_of(pictures)
    state = seen(layout, {(ClsRow(), 0): early, (ClsRow(), 22): late})
    method = HiRED(ratio=ratio, alpha=alpha, variant=variant)  # type: ignore[arg-type]
    answer = method.reduce(state)
    expected = []
    for number, one in enumerate(pictures):
        told = released(one, early[number].tolist(), late[number].tolist(), ratio, alpha, variant == "official")
        for span, places in zip(layout.spans[2 * number :], told, strict=False):
            expected += span.positions[places].tolist()
    assert answer is not None and answer.keep.tolist() == expected and answer.weights is None
    assert torch.equal(answer.drop_text, layout.separators) and answer.positions == "compact"


def test_content_in_one_half_of_the_picture() -> None:
    """Of 2 x 2 tiles; the released code spreads the left half's content over all, by runs of the raster."""
    one = Picture(4, 2, 2, 0, 0)
    left = torch.tensor([1.0, 1, 0, 0] * 4).expand(5, -1)
    state = seen(prompt_of([one]), {(ClsRow(), 0): [left], (ClsRow(), 22): [torch.rand(5, 16)]})
    tiles = state.layout.spans[1]
    counts = {}
    for variant in ("mended", "official"):
        kept = HiRED(ratio=0.4, variant=variant).reduce(state).keep
        cells = torch.isin(tiles.positions, kept).nonzero().flatten().tolist()
        counts[variant] = [sum(one.tile_of(cell) == tile for cell in cells) for tile in range(4)]
    assert counts == {"mended": [8, 0, 8, 0], "official": [4, 4, 4, 4]}


def test_newlines_stay_on_request() -> None:
    state = seen(prompt_of([Picture(3, 1, 2, 1, 0)]), {(ClsRow(), 0): [torch.rand(3, 9)]})
    assert HiRED(newlines="keep").reduce(state).drop_text is None
    assert HiRED(ratio=1.0).reduce(state) is None


def test_numbers() -> None:
    assert HiRED().tower_probes(CLIP) == ((ClsRow(), 0), (ClsRow(), 22))
    assert HiRED().tower_probes(Tower(26, 26, 27, 27, cls=False)) == ((ColumnMean(), 0), (ColumnMean(), 25))
    assert HiRED().tower_probes(Tower(26, 26, 27, 27, cls=False, slots=196)) == ((ColumnMean(), 25),)
    assert HiRED().plan([(1, 576), (1, 2304, 48, 1)], 32) == [115 + 461] * 32
    with pytest.raises(WinnowError, match=r"reducer\.alpha=2 is not allowed"):
        HiRED(alpha=2)

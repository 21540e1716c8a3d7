"""FiCoCo-V against its released code, and against its paragraph, both written as loops."""

import math

import pytest
import torch
from seeds import seeds
from towers import CLIP, check, contents, draw, leaves

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import JoinedHeads, Tower, TowerView
from winnow.reducers.ficoco_v import FiCoCoV

Row = list[float]


def state(tower: Tower, block: int, answer: Reduction | None, told: object, seed: int) -> TowerView:
    """What a block sees of what the one before has left: attention logits of few values, or real ones."""
    random = draw(seed)
    index = torch.arange(tower.patches) if answer is None else answer.keep
    own = None if answer is None or answer.own is None else answer.own
    raw = torch.randn(len(index) + tower.cls, len(index) + tower.cls, generator=random)
    raw = (raw * 4).round() / 4 if seed % 4 == 0 else raw
    signals = {(JoinedHeads(), block): torch.stack([raw, torch.eye(len(raw))])}
    hidden = torch.randn(len(index), 5, generator=random)
    return TowerView(Site.tower(block, tower), hidden, index, torch.ones(len(index)).long(), signals, (), own, told)


def scores(raw: list[Row], tower: Tower, alpha: float) -> Row:
    """Rows and columns of `raw` are all tokens, the class token first where there is one."""
    first = int(tower.cls)
    paid = [math.fsum(row[first:]) / len(row[first:]) for row in raw[first:]]
    asked = raw[0][1:] if tower.cls else [0.0] * len(paid)
    units = [[x / (math.sqrt(math.fsum(y * y for y in v)) or 1.0) for x in v] for v in (asked, paid)]
    return [alpha * a - (1 - alpha) * p for a, p in zip(*units, strict=True)]


def pushed(score: Row, lowest: set[int]) -> Row:
    return [(s / 2 if s > 0 else s * 2) if i in lowest else s for i, s in enumerate(score)]


def windows(cells: dict[int, float], tower: Tower) -> list[int]:
    """In every 2x2 window the cell with the lowest value, of those that have one."""
    found = []
    for top in range(0, tower.rows, 2):
        for side in range(0, tower.cols, 2):
            inside = [r * tower.cols + c for r in (top, top + 1) for c in (side, side + 1) if c < tower.cols]
            inside = [cell for cell in inside if cell in cells]
            found += [min(inside, key=lambda cell: (cells[cell], cell))] if inside else []
    return found


def quantile(row: Row, q: float) -> float:
    rising, place = sorted(row), q * (len(row) - 1)
    low = math.floor(place)
    return rising[low] + (place - low) * (rising[min(low + 1, len(row) - 1)] - rising[low])


def shares(rows: list[Row], q: float) -> list[list[tuple[int, float]]]:
    """Of each row the places that are paid most, and how much of the row's token each gets."""
    most = max(sum(x > quantile(row, q) for x in row) for row in rows)
    out = []
    for row in rows:
        best = sorted(range(len(row)), key=lambda j: (-row[j], j))[:most]
        total = math.fsum(math.exp(row[j]) for j in best)
        out.append([(j, math.exp(row[j]) / total) for j in best])
    return out


def mixed(states: list[Row], kept: list[int], given: list[tuple[int, int, float]]) -> list[Row]:
    """Each kept token with what (row, token, weight) adds to it, divided by its weights."""
    out = []
    for row, token in enumerate(kept):
        extra = [(t, w) for r, t, w in given if r == row]
        size = 1 + math.fsum(w for _, w in extra)
        out.append([(x + math.fsum(w * states[t][i] for t, w in extra)) / size for i, x in enumerate(states[token])])
    return out


class Official:
    """The released code, with its map of one picture; what it does to the class token is left out."""

    def __init__(self, tower: Tower) -> None:
        self.tower, self.map = tower, [1e9] * tower.patches

    def block(self, states: list[Row], raw: list[Row], gone: int, method: FiCoCoV) -> list[Row]:
        score = scores(raw, self.tower, method.alpha)
        free = [cell for cell, value in enumerate(self.map) if value != math.inf]
        for cell, value in zip(free, score, strict=False):
            self.map[cell] = value
        lowest = {cell for cell in windows(dict(enumerate(self.map)), self.tower) if cell < len(score)}
        score = pushed(score, lowest)
        for cell in lowest:
            self.map[cell] = math.inf
        first = int(self.tower.cls)
        order = sorted(range(len(score)), key=lambda i: (score[i], i))
        goes, kept = order[:gone], order[gone:]
        length = len(kept) + first
        given = []
        for token, targets in zip(goes, shares([raw[i + first] for i in goes], method.quantile), strict=True):
            given += [(j - gone if j >= length else j, token, weight) for j, weight in targets]
        return mixed(states, kept, given)


def all_rows(view: TowerView) -> list[Row]:
    query, key = view.signals[JoinedHeads(), view.block].double()
    return (query @ key.mT).tolist()


def drawn(seed: int) -> Tower:
    rows, cols = (2 * int(n) for n in torch.randint(1, 3 + (seed % 10 == 0), (2,), generator=draw(seed)))
    return Tower(blocks=6, used=6 - seed % 2, rows=rows, cols=cols, cls=seed % 3 > 0)


@seeds(120)
def test_official_is_the_released_code_from_block_to_block(seed: int) -> None:
    tower = drawn(seed)
    r = [None, 1, 3][seed % 3]
    method = FiCoCoV(ratio=[0.3, 0.1][seed % 2], r=r, quantile=[0.998, 0.6][seed % 2], variant="official")
    reference, answer, told = Official(tower), None, None
    for block in method.blocks(tower):
        view = state(tower, block, answer, told, seed * 10 + block)
        left = method.count(view.site, tower.grid, len(view.index))
        found = method.reduce(view)
        if found is None:
            assert left == len(view.index)
            break
        expected = reference.block(view.hidden.double().tolist(), all_rows(view), len(view.index) - left, method)
        check(view, found)
        assert len(found.keep) == left
        assert torch.allclose(contents(view, found), torch.tensor(expected, dtype=torch.double), atol=1e-5)
        answer, told = found, found.told


@seeds(120)
def test_mended_is_its_paragraph(seed: int) -> None:
    tower = drawn(seed)
    method = FiCoCoV(ratio=[0.3, 0.1][seed % 2], quantile=[0.998, 0.6][seed % 2], alpha=[0.35, 0.8][seed % 2])
    block = method.blocks(tower)[-1]
    before = Reduction(torch.randperm(tower.patches, generator=draw(seed))[: tower.patches * 3 // 4 + 1].sort().values)
    view = state(tower, block, before, None, seed)
    answer = method.reduce(view)
    left = method.count(view.site, tower.grid, len(view.index))
    if answer is None:
        assert left == len(view.index)
        return
    raw, first = all_rows(view), int(tower.cls)
    score = scores(raw, tower, method.alpha)
    place = {int(cell): i for i, cell in enumerate(view.index)}
    lowest = windows({cell: score[i] for cell, i in place.items()}, tower)
    score = pushed(score, {place[cell] for cell in lowest})
    order = sorted(range(len(score)), key=lambda i: (score[i], i))
    goes, kept = order[: len(score) - left], sorted(order[len(score) - left :])
    rows = [[raw[i + first][j + first] for j in kept] for i in goes]
    given = [(j, i, w) for i, to in zip(goes, shares(rows, method.quantile), strict=True) for j, w in to]
    check(view, answer)
    assert answer.keep.tolist() == view.index[kept].tolist() and answer.told is None
    expected = torch.tensor(mixed(view.hidden.double().tolist(), kept, given), dtype=torch.double)
    assert torch.allclose(contents(view, answer), expected, atol=1e-5)


def test_the_published_counts() -> None:
    official = FiCoCoV(r=42, variant="official")
    assert official.blocks(CLIP) == tuple(range(12, 23))
    assert leaves(official, CLIP) == leaves(FiCoCoV(), CLIP) == 576 - 11 * 42
    assert leaves(FiCoCoV(ratio=1.0), CLIP) == leaves(FiCoCoV(r=0), CLIP) == 576
    assert official.tower_probes(CLIP) == tuple((JoinedHeads(), block) for block in range(12, 23))


def test_every_picture_begins_with_a_map_of_its_own() -> None:
    tower = Tower(blocks=2, used=2, rows=4, cols=4, cls=True)
    method = FiCoCoV(r=3, variant="official")
    first, again = (method.reduce(state(tower, 1, None, None, 5)) for _ in range(2))
    assert torch.equal(first.weights.to_dense(), again.weights.to_dense())
    after = method.reduce(state(tower, 1, None, first.told, 5))
    assert not torch.equal(first.weights.to_dense(), after.weights.to_dense())  # what the release does


@pytest.mark.parametrize("wrong", [{"r": -1}, {"start": 1.0}, {"alpha": 1.5}, {"quantile": -0.1}, {"ratio": 0}])
def test_bad_numbers_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(WinnowError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}.* is not allowed"):
        FiCoCoV(**wrong)  # type: ignore[arg-type]

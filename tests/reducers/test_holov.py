"""HoloV against its released code, written as loops."""

import math

import pytest
import torch
from seeds import seeds
from tokens import Rows, dot, tokens
from views import layout, view

from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import ClsRow, ColumnMean, Tower
from winnow.reducers.holov import HoloV

CLIP = Tower(blocks=24, used=23, rows=4, cols=4, cls=True)


def run_score(states: Rows, attention: list[float]) -> float:
    n = len(states)
    if n == 1:
        return attention[0]
    unit = [[x / (math.sqrt(dot(row, row)) + 1e-6) for x in row] for row in states]
    varied = []
    for i in range(n):
        row = [dot(unit[i], unit[j]) if i != j else 0.0 for j in range(n)]
        mean = sum(row) / (n - 1)
        varied.append(sum((value - mean) ** 2 for value in row) / (n - 1))
    scale = (sum(1000 * a for a in attention) / n) / (sum(varied) / n + 1e-6)
    return sum(1000 * a + 0.09 * v * scale for a, v in zip(attention, varied, strict=True)) / n


def released(states: Rows, attention: list[float], runs: int, total: int, mended: bool) -> list[int]:
    """Places of one frame, in the code's order; -1 for a vector of zeros."""
    size, rest = divmod(len(states), runs)
    parts, start = [], 0
    for number in range(runs):
        stop = start + size + (number < rest)
        if stop > start:
            parts.append(list(range(start, stop)))
        start = stop
    scores = [run_score([states[i] for i in part], [attention[i] for i in part]) for part in parts]
    shares = [score / (sum(scores) + 1e-6) for score in scores]
    rank = sorted(range(len(parts)), key=lambda i: (-shares[i], i))
    given = [math.floor(share * total) for share in shares]
    for i in rank[: total - sum(given)]:
        given[i] += 1
    given = [min(count, len(part)) for count, part in zip(given, parts, strict=True)]
    while mended and sum(given) < total:
        for i in [i for i in rank if given[i] < len(parts[i])][: total - sum(given)]:
            given[i] += 1
    kept: list[int] = []
    for count, part in zip(given, parts, strict=True):
        kept += part if count == len(part) else sorted(part, key=lambda i: (-attention[i], i))[:count]
    return kept + [-1] * (total - len(kept))


def chosen(method: HoloV, frames: torch.Tensor, attention: torch.Tensor) -> list[list[int]]:
    """Places that a method picks in each frame."""
    count, size, _ = frames.shape
    prompt = layout((count, 1, size))
    rows = torch.zeros(prompt.length, dtype=torch.double)
    rows[prompt.visual] = attention.flatten()
    state = view(prompt, Site.entrance(28), {(ClsRow(), 22): rows}, hidden=torch.zeros(prompt.length, 1))
    picks = method.choose(frames.flatten(0, 1), prompt.spans[0], state)
    return [[p - i * size if p >= 0 else p for p in row] for i, row in enumerate(picks.view(count, -1).tolist())]


@pytest.mark.parametrize("variant", ["official", "mended"])
@seeds(150)
def test_it_is_the_released_code(seed: int, variant: str) -> None:
    random = torch.Generator().manual_seed(seed)
    size, runs = int(torch.randint(1, 40, (), generator=random)), [16, 3, 7, 1][seed % 4]
    frames = torch.stack([tokens(size, seed), tokens(size, seed + 2)])
    attention = torch.rand(2, size, generator=random, dtype=torch.double) ** (1 + seed % 5) / size
    ratio = [64 / 576, 0.5, 0.9, 0.03][seed // 4 % 4]
    method = HoloV(ratio=ratio, runs=runs, variant=variant)  # type: ignore[arg-type]
    total = max(1, round(size * ratio))
    expected = [
        released(frame.tolist(), row.tolist(), runs, total, variant == "mended")
        for frame, row in zip(frames, attention, strict=True)
    ]
    assert chosen(method, frames, attention) == expected


def test_a_full_run_is_padded_with_zeros_or_passes_on() -> None:
    """All attention lies on one run of four: its overflow is lost in the released code."""
    frames = torch.randn(1, 8, 4, dtype=torch.double)
    attention = torch.tensor([[1.0, 2, 3, 4, 0, 0, 0, 0]]).double()
    lost, passed = (chosen(HoloV(0.75, runs=2, variant=v), frames, attention)[0] for v in ("official", "mended"))
    assert lost == [0, 1, 2, 3, -1, -1] and passed == [0, 1, 2, 3, 4, 5]


def test_zero_vectors_reach_the_prompt() -> None:
    prompt = layout((1, 1, 8))
    rows = torch.zeros(prompt.length)
    rows[prompt.visual] = torch.tensor([0.0, 0, 0, 0, 1, 2, 3, 4])
    hidden = torch.randn(prompt.length, 4)
    state = view(prompt, Site.entrance(28), {(ClsRow(), 22): rows}, hidden=hidden)
    answer = HoloV(0.75, runs=2, variant="official").reduce(state)
    left = answer.apply(state.visual_hidden, state.visual)
    assert len(answer.keep) == 6 and len(set(answer.keep.tolist())) == 6
    assert torch.equal(left[:4], hidden[prompt.visual[4:]]) and torch.equal(left[4:], torch.zeros(2, 4))
    raster = HoloV(0.5, runs=2, order="raster").reduce(state)
    assert raster.weights is None and raster.keep.tolist() == (prompt.visual[4:]).tolist()


def test_numbers() -> None:
    assert HoloV().plan([(1, 576)], 32) == [64] * 32 and HoloV(ratio=0.001).plan([(4, 196)], 1) == [4]
    assert HoloV().tower_probes(CLIP) == ((ClsRow(), 22),)
    assert HoloV().tower_probes(Tower(26, 26, 27, 27, cls=False)) == ((ColumnMean(), 25),)
    with pytest.raises(UnsupportedError, match="needs a vision tower with a CLS token"):
        HoloV(guide="cls").tower_probes(Tower(26, 26, 27, 27, cls=False))
    with pytest.raises(WinnowError, match=r"reducer.runs=0 is not allowed"):
        HoloV(runs=0)

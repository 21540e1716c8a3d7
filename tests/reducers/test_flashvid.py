"""FlashVID against its released code, written as loops."""

import math

import pytest
import torch
from peaks import mean, peaks, segments, video
from seeds import seeds
from tokens import Rows, cosine, dot, prompt_of
from views import layout, view

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.probes import Rows as RowsProbe
from winnow.reducers.core.schedule import K
from winnow.reducers.core.tower import ColumnMean
from winnow.reducers.flashvid import FlashVID

Merged = list[tuple[int, dict[int, float]]]
"""The place of each merged token, and the places in it with their weights."""


def picks(states: Rows, worth: list[float], count: int, again: bool) -> list[int]:
    n, chosen = len(states), []
    far = [[(1 - cosine(states[i], states[j])) * worth[j] for j in range(n)] for i in range(n)]
    nearest = [sorted(far[i][j] for i in range(n))[min(1, n - 1)] for j in range(n)]
    for _ in range(count):
        free = [j for j in range(n) if again or j not in chosen]
        chosen.append(max(free, key=lambda j: (round(nearest[j], 6), -j)))
        nearest = [min(far[i][j] for i in chosen) for j in range(n)]
    return chosen


def trees(
    frames: list[Rows], free: list[list[bool]], method: FlashVID, least: int
) -> tuple[list[list[int]], list[int]]:
    """The parent of each token, -1 for none, and the children of each place."""
    count, per = len(frames), len(frames[0])
    parent, best = [[-1] * per for _ in frames], [[-1.0] * per for _ in frames]
    for f in range(1, count):
        for p in range(per):
            alike = [
                cosine(frames[f][p], frames[f - 1][q]) if free[f][p] and free[f - 1][q] else -1.0 for q in range(per)
            ]
            parent[f][p] = max(range(per), key=lambda q: (round(alike[q], 9), -q))
            best[f][p] = max(alike)
    bound = method.tau
    if sum(b <= bound for row in best for b in row) < least:
        room = count * per - least
        bound = max(sorted((b for row in best for b in row), reverse=True)[room - 1], -1 + 1e-6) if room else 1.0
    children = [0] * (count * per)
    for f, p in ((f, p) for f in range(count) for p in range(per)):
        if best[f][p] > bound:
            children[(f - 1) * per + parent[f][p]] += 1
        else:
            parent[f][p] = -1
    return parent, children


def segment(frames: list[Rows], attention: list[list[float]], method: FlashVID) -> Merged:
    count, per, official = len(frames), len(frames[0]), method.variant == "official"
    total = min(per, math.ceil(per * method.ratio * method.expansion))
    chosen = math.ceil(total * method.alpha)
    means, made = [mean(frame) for frame in frames], []
    free = [[True] * per for _ in frames]
    for f in range(count):
        worth = [1e6 * a for a in attention[f]]
        if method.version == "v2":
            worth = [w * sum(dot(x, m) for m in means) / count for w, x in zip(worth, frames[f], strict=True)]
        best = picks(frames[f], worth, chosen, official and method.version == "v2")
        made += [(f * per + p, {f * per + p: 1.0}) for p in best]
        for p in best:
            free[f][p] = False
    if total == chosen:
        return made
    if count == 1 and official:
        free = [[True] * per]
    parent, children = trees(frames, free, method, total * count)
    root = [[-1] * per for _ in frames]
    for f, p in ((f, p) for f in range(count) for p in range(per)):
        root[f][p] = root[f - 1][parent[f][p]] if parent[f][p] >= 0 else f * per + p
    places = [(f, p) for f in range(count) for p in range(per)]
    inside = {r: [f * per + p for f, p in places if root[f][p] == r] for row in root for r in row}
    left = [[f * per + p for p in range(per) if root[f][p] == f * per + p and free[f][p]] for f in range(count)]
    divisor = {r: 1 + children[r] if official else len(members) for r, members in inside.items()}
    share = (total - chosen) * count / max(1, sum(map(len, left)))
    for roots in left:
        number = math.ceil(len(roots) * share)
        values = [[sum(frames[m // per][m % per][c] for m in inside[r]) / divisor[r] for c in range(5)] for r in roots]
        groups = peaks(values, number, min(7, number)) if number and share < 1 else [[i] for i in range(len(roots))]
        for group in groups:
            row = {m: 1 / divisor[roots[i]] / len(group) for i in group for m in inside[roots[i]]}
            made.append((roots[group[0]], row))
    return made


@seeds(160)
def test_it_is_the_released_code(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    frames, per = int(torch.randint(1, 7, (), generator=random)), int(torch.randint(4, 12, (), generator=random))
    prompt, states = layout((frames, 1, per)), video(seed, frames, per)
    attention = torch.rand(prompt.length, generator=random, dtype=torch.double)
    variant, version = ("official" if seed % 2 else "mended"), ("v1" if seed // 2 % 2 else "v2")
    method = FlashVID(
        ratio=[0.5, 0.25, 0.1][seed % 3], segments=[2, 1, 4][seed // 3 % 3], variant=variant, version=version, cut=0.5,
        tau=[0.8, 0.3][seed // 4 % 2],
    )  # fmt: skip
    state = view(prompt, hidden=prompt_of(states.flatten(0, 1), prompt), signals={(ColumnMean(), 25): attention})
    rows = attention[prompt.visual].view(frames, per).tolist()
    expected: Merged = []
    for part in segments([mean(frame) for frame in states.tolist()], method.segments, method.cut):
        cut = slice(part[0], part[-1] + 1)
        found = segment(states[cut].tolist(), rows[cut], method)
        expected += [(p + part[0] * per, {m + part[0] * per: w for m, w in row.items()}) for p, row in found]
    expected.sort(key=lambda x: x[0])
    answer = method.reduce(state)
    if answer is None:
        assert [row for _, row in expected] == [{p: 1.0} for p in range(frames * per)]
        return
    slots = [p for p, _ in expected]
    assert len(answer.keep) == len(slots) and (len(set(slots)) < len(slots) or (answer.keep - 3).tolist() == slots)
    dense = torch.zeros(len(expected), frames * per)
    for number, (_, row) in enumerate(expected):
        dense[number, list(row)] = torch.tensor(list(row.values()))
    assert torch.allclose(answer.weights.to_dense(), dense, atol=1e-5)


def test_a_chain_grows_in_the_released_code() -> None:
    """Four frames alike: a root is the sum of four divided by two."""
    frames = torch.randn(1, 6, 5, generator=torch.Generator().manual_seed(0)).expand(4, 6, 5)
    prompt = layout((4, 1, 6))
    signals = {(ColumnMean(), 25): torch.ones(prompt.length)}
    state = view(prompt, hidden=prompt_of(frames.flatten(0, 1).double(), prompt), signals=signals)
    methods = [FlashVID(0.25, alpha=0.5, segments=1, variant=x, version="v1") for x in ("mended", "official")]
    sums = [method.reduce(state).weights.to_dense().sum(1).max() for method in methods]
    assert torch.allclose(torch.stack(sums), torch.tensor([1.0, 2.0]))


def test_counts() -> None:
    grid = Grid(32, 196, 14)
    assert FlashVID(0.1).plan([grid], 28) == [800] * 20 + [240] * 8
    assert FlashVID().keep_all().plan([grid], 28) == [6272] * 28
    attention = torch.arange(20.0)
    state = view(layout((1, 2, 5)), 3, {(RowsProbe("last"), 2): attention[:18]}, depth=8)
    assert FlashVID(schedule=K(3)).reduce(state).keep.tolist() == [10, 11, 12]
    with pytest.raises(WinnowError, match=r"expansion=0\.5"):
        FlashVID(expansion=0.5)

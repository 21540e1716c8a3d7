"""HoliTom against its released code, written as loops."""

import math
from itertools import pairwise, product

import pytest
import torch
from peaks import mean, peaks, video
from seeds import seeds
from tokens import Rows, cosine, prompt_of
from views import layout, view

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.probes import Rows as RowsProbe
from winnow.reducers.core.schedule import K
from winnow.reducers.core.tower import ColumnMean
from winnow.reducers.holitom import HoliTom, windows

Group = tuple[int, dict[int, float]]
"""The place of a merged token, and the places in it with their weights."""


def cut(still: list[list[bool]], frames: int) -> tuple[list[int], int]:
    """The best of all partitions: the largest gain, then the latest, shortest windows, decided from the end."""

    def gain(a: int, b: int) -> int:
        return sum(all(still[f][p] for f in range(a, b)) for p in range(len(still[0]))) * (b - a) if b > a else 0

    found = []
    for inner in product([False, True], repeat=frames - 1):
        cuts = [0, *(i + 1 for i, cut in enumerate(inner) if cut), frames]
        total = sum(gain(a, b - 1) for a, b in pairwise(cuts))
        found.append((total, cuts[::-1], cuts))
    best = max(found, key=lambda x: (x[0], x[1]))
    return best[2], best[0]


def clustered(states: Rows, slots: list[int], spread: list[list[int]], count: int, beta: float) -> list[Group]:
    """Clusters of tokens, each a mean over some places."""
    made = []
    for group in sorted(peaks(states, count, min(7, count)) if count else []):
        row: dict[int, float] = {}
        for number, member in enumerate(group):
            weight = 1.0 if len(group) == 1 else beta if not number else (1 - beta) / (len(group) - 1)
            row |= {place: weight / len(spread[member]) for place in spread[member]}
        made.append((slots[group[0]], row))
    return made


def released(frames: list[Rows], attention: list[list[float]], method: HoliTom) -> list[Group]:
    count, per = len(frames), len(frames[0])
    still = [[cosine(a, b) > method.tau for a, b in zip(f, g, strict=True)] for f, g in pairwise(frames)]
    cuts, saved = cut(still, count)
    share, made = min(1.0, method.ratio / ((count * per - saved) / (count * per))), []
    for a, b in pairwise(cuts):
        static = [p for p in range(per) if b - a > 1 and all(still[f][p] for f in range(a, b - 1))]
        means = [mean([frames[f][p] for f in range(a, b)]) for p in static]
        places = [[f * per + p for f in range(a, b)] for p in static]
        made += clustered(means, [a * per + p for p in static], places, round(len(static) * share), method.beta)
        for f in range(a, b):
            moving = [p for p in range(per) if p not in static]
            total = math.ceil(len(moving) * share)
            best = sorted(sorted(moving, key=lambda p: (-attention[f][p], p))[: round(total * (1 - method.D))])
            made += [(f * per + p, {f * per + p: 1.0}) for p in best]
            rest = [p for p in moving if p not in best]
            slots = [f * per + p for p in rest]
            made += clustered([frames[f][p] for p in rest], slots, [[s] for s in slots], total - len(best), method.beta)
    return made


@seeds(150)
def test_the_outer_stage_is_the_released_code(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    frames, per = int(torch.randint(1, 7, (), generator=random)), int(torch.randint(4, 12, (), generator=random))
    prompt, states = layout((frames, 1, per)), video(seed, frames, per)
    attention = torch.randint(0, 9, (prompt.length,), generator=random).double()
    order = "raster" if seed % 4 == 3 else "official"
    tau, share = [0.8, 0.4][seed % 2], [0.0, 0.5][seed // 2 % 2]
    method = HoliTom(ratio=[0.5, 0.25, 0.8][seed % 3], tau=tau, D=share, order=order)
    state = view(prompt, hidden=prompt_of(states.flatten(0, 1), prompt), signals={(ColumnMean(), 25): attention})
    expected = released(states.tolist(), attention[prompt.visual].view(frames, per).tolist(), method)
    expected = sorted(expected, key=lambda x: x[0]) if order == "raster" else expected
    answer = method.reduce(state)
    if answer is None:
        assert [row for _, row in expected] == [{p: 1.0} for p in range(frames * per)]
        return
    assert (answer.keep - 3).tolist() == sorted(slot for slot, _ in expected)
    dense = torch.zeros(len(expected), frames * per)
    for number, (_, row) in enumerate(expected):
        dense[number, list(row)] = torch.tensor(list(row.values()))
    assert torch.allclose(answer.weights.to_dense(), dense, atol=1e-6)


@seeds(100)
def test_windows_are_the_best_partition(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    frames, per = (int(n) for n in torch.randint(1, 8, (2,), generator=random))
    still = torch.rand(frames - 1, per, generator=random) < [0.5, 0.8, 0.2][seed % 3]
    found, saved = windows(still, frames)
    expected = cut(still.tolist(), frames) if frames > 1 else ([0, 1], 0)
    assert saved == expected[1]
    assert found == expected[0]


@seeds(100)
def test_the_inner_stage_adds_one_by_one(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    prompt = layout((2, 2, 3), (1, 2, 2))
    gone = torch.full((prompt.length,), -1)
    gone[prompt.visual[torch.rand(16, generator=random) < 0.3]] = 0
    states = torch.randn(prompt.length, 5, generator=random, dtype=torch.double)
    states[prompt.visual[::2]] = states[prompt.visual[1::2]]  # of equal ones the most attended takes what goes
    attention = torch.randint(0, 9, (prompt.length,), generator=random).double()
    method = HoliTom(second=[0.5, 0.3][seed % 2], schedule=K(3))
    state = view(prompt, 3, {(RowsProbe("last"), 2): attention}, gone, 8, states)
    answer = method.reduce(state)
    kept = []
    for span in prompt.spans:
        here = [int(p) for p in span.positions if gone[p] < 0]
        best = sorted(here, key=lambda p: (-float(attention[p]), p))
        kept += sorted(best[: max(1, round(len(here) * method.second)) if here else 0])
    expected = {p: states[p].clone() for p in kept}
    for p in (int(p) for p in prompt.visual if gone[p] < 0 and int(p) not in kept):
        rank = sorted(kept, key=lambda q: (-float(attention[q]), q))
        near = max(rank, key=lambda q: round(cosine(states[p].tolist(), states[q].tolist()), 12))
        expected[near] = (expected[near] + states[p]) / 2
    assert answer.keep.tolist() == kept and answer.positions == "keep"
    found = answer.apply(state.visual_hidden, state.visual)
    assert torch.allclose(found, torch.stack([expected[p] for p in kept]), atol=1e-6)


def test_counts() -> None:
    grid = Grid(32, 196, 14)
    assert HoliTom(ratio=0.15).plan([grid], 28) == [960] * 18 + [480] * 10
    assert HoliTom(ratio=0.15, second=1.0).plan([grid], 28) == [960] * 28
    assert HoliTom().keep_all().plan([grid], 28) == [6272] * 28
    with pytest.raises(WinnowError, match="D=2 is not allowed"):
        HoliTom(D=2)

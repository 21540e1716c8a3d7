"""Sequential, grid, uniform, averages and replay."""

import itertools
from typing import Literal

import pytest
import torch
from answers import check, memory
from hypothesis import given, settings
from hypothesis import strategies as st
from views import layout, view, walk

from winnow.reducers.average import Average
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Layout, Span
from winnow.reducers.core.probes import Rows
from winnow.reducers.core.reduction import View
from winnow.reducers.core.schedule import Cuts, K, Rounds
from winnow.reducers.core.site import Site
from winnow.reducers.fastv import FastV
from winnow.reducers.frame_pairs import FramePairs
from winnow.reducers.grid import GridSample
from winnow.reducers.random import RandomDrop
from winnow.reducers.replay import Replay
from winnow.reducers.sequential import Sequential
from winnow.reducers.uniform import Uniform, turns

TABLE_3 = Cuts((12, 20))


def test_sequential_keeps_the_first() -> None:
    prompt = layout((1, 4, 5), (2, 1, 3))
    assert (Sequential(ratio=0.35).reduce(view(prompt)).keep).tolist() == [*range(3, 10), 25, 26]
    assert (Sequential(ratio=0.1, select="lowest").reduce(view(prompt)).keep).tolist() == [21, 22, 30]
    assert Sequential(ratio=40 / 576).plan([(1, 576)], 32) == [40] * 32


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 3), st.integers(1, 7), st.integers(1, 7), st.integers(1, 9), st.integers(1, 9))
def test_grid_keeps_cell_centres(frames: int, rows: int, cols: int, a: int, b: int) -> None:
    prompt = layout((frames, rows, cols))
    method, a, b = GridSample(a=a, b=b), min(a, rows), min(b, cols)
    expected = [
        f * rows * cols + int((i + 0.5) * rows / a) * cols + int((j + 0.5) * cols / b)
        for f in range(frames)
        for i in range(a)
        for j in range(b)
    ]
    assert (method.reduce(view(prompt)).keep - 3).tolist() == expected
    assert method.plan([span.grid for span in prompt.spans], 2) == [len(expected)] * 2


@pytest.mark.parametrize(("a", "b", "left"), [(5, 8, 40), (8, 5, 40), (5, 7, 35), (7, 5, 35), (6, 6, 36), (4, 4, 16)])
def test_grids_of_prumerges_table_4(a: int, b: int, left: int) -> None:
    assert GridSample(a=a, b=b).plan([(1, 576)], 32) == [left] * 32


def test_grid_from_a_ratio_or_both_numbers() -> None:
    assert GridSample(ratio=0.25).shape(Grid(1, 576)) == (12, 12)
    assert GridSample(ratio=0.0001).shape(Grid(1, 576)) == (1, 1)
    for wrong in ({"a": 3}, {"a": 0, "b": 2}):
        with pytest.raises(WinnowError, match="give both, each 1 or more"):
            GridSample(**wrong)


@pytest.mark.parametrize("grid", [(8, 14, 14), (1, 24, 24), (5, 3, 7), (4, 5, 5), (1, 1, 9), (32, 14, 14)])
@pytest.mark.parametrize("ratio", [0.05, 1 / 14, 0.25, 0.5, 0.9])
def test_uniform_is_even_over_frames_rows_and_columns(grid: tuple[int, int, int], ratio: float) -> None:
    prompt = layout(grid)
    kept = torch.zeros(prompt.length)
    kept[Uniform(ratio=ratio).reduce(view(prompt)).keep] = 1
    cells = kept[prompt.visual].view(grid)
    per_frame = cells.sum((1, 2))
    assert per_frame.max() - per_frame.min() <= 1
    for axis in (1, 2):
        in_frame = cells.sum(axis)
        assert (in_frame - in_frame.mean(1, keepdim=True)).abs().max() <= 2


def test_uniform_does_not_alias_with_the_frames() -> None:
    """One token in 196: every 196th would be the same cell of each frame."""
    prompt = layout((32, 14, 14))
    kept = Uniform(ratio=1 / 196).reduce(view(prompt)).keep - 3
    assert len(kept) == 32 and len((kept // 196).unique()) == 32
    assert len((kept % 196).unique()) > 24


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 6), st.integers(1, 5), st.integers(1, 6))
def test_uniform_turns_are_a_permutation(frames: int, rows: int, cols: int) -> None:
    order = turns(Grid(frames, rows * cols, cols))
    assert order.sort().values.tolist() == list(range(frames * rows * cols))
    assert (order.view(frames, -1) % frames).unique(dim=1).shape[1] == 1  # each frame takes its turn in every round


@pytest.mark.parametrize(
    "method",
    [
        RandomDrop(ratio=0.25, schedule=TABLE_3),
        Average(ratio=0.25, schedule=TABLE_3),
        Average(ratio=0.25, axis="temporal", schedule=TABLE_3),
        Uniform(ratio=0.25, schedule=TABLE_3),
        Sequential(ratio=0.25, schedule=TABLE_3),
    ],
)
def test_halving_twice_is_vas_table_3(method: RandomDrop | Average) -> None:
    plan = method.plan([(8, 196)], 32)
    assert plan == [1568] * 12 + [784] * 8 + [392] * 12
    assert memory(plan) == pytest.approx(0.594, abs=5e-4)


def average_by_hand(cells: list[list[int]], frames: int, rows: int, cols: int, axis: str) -> list[list[int]]:
    """Groups of one halving: `cells` holds the members of each token of a frames x rows x cols grid."""
    out: dict[tuple[int, int, int], list[int]] = {}
    for f in range(frames):
        for r in range(rows):
            for c in range(cols):
                key = {"time": (f // 2, r, c), "width": (f, r, c // 2), "height": (f, r // 2, c)}[axis]
                out.setdefault(key, []).append((f * rows + r) * cols + c)
    return [[m for i in group for m in cells[i]] for _, group in sorted(out.items())]


@settings(deadline=None, max_examples=150)
@given(
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(1, 5),
    st.integers(0, 3),
    st.sampled_from(["time", "width", "alternate"]),
)
def test_average_is_repeated_halving(frames: int, rows: int, cols: int, times: int, how: str) -> None:
    prompt = layout((frames, rows, cols))
    groups, size = [[i] for i in range(frames * rows * cols)], [frames, rows, cols]
    for i in range(times):
        axis = how if how != "alternate" else ("width", "height")[i % 2]
        groups = average_by_hand(groups, *size, axis)
        place = {"time": 0, "height": 1, "width": 2}[axis]
        size[place] = -(-size[place] // 2)
    groups = sorted((sorted(group) for group in groups), key=lambda group: group[-1])
    method = Average(
        ratio=0.5**times,
        axis="temporal" if how == "time" else "spatial",
        pairs="width" if how == "width" else "alternate",
    )
    check(method.reduce(view(prompt)), groups, [group[-1] for group in groups], len(prompt.visual))
    assert method.plan([prompt.spans[0].grid], 2)[0] == len(groups)


def test_later_rounds_average_what_is_there() -> None:
    prompt = layout((1, 2, 4))
    gone = torch.full((prompt.length,), -1)
    gone[prompt.visual[[0, 2, 4, 6]]] = 12
    answer = Average(ratio=0.25, schedule=TABLE_3).reduce(view(prompt, 20, {}, gone, 32))
    assert (answer.keep - 3).tolist() == [5, 7]
    assert answer.weights.to_dense().tolist() == [[0.5, 0, 0.5, 0], [0, 0.5, 0, 0.5]]


def test_halving_methods_take_powers_of_one_half() -> None:
    with pytest.raises(WinnowError, match=r"ratio=0.3 is not allowed: this method halves, choose 1, 0.5"):
        Average(ratio=0.3)


def test_other_schedules_are_refused() -> None:
    with pytest.raises(WinnowError, match="kind 'rounds' does not say at which layers to act: choose k or cuts"):
        Uniform(schedule=Rounds(3, 5, 1)).sites(28)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 12), st.lists(st.integers(0, 12), min_size=4, max_size=4), st.integers(0, 99))
def test_replay_has_the_recorded_counts(tokens: int, counts: list[int], key: int) -> None:
    recorded = sorted((min(count, tokens) for count in counts), reverse=True)
    prompt = layout((1, 1, tokens), key=str(key))
    seen = walk(Replay({str(key): recorded}), prompt, 4)
    assert [len(index) - (prompt.length - tokens) for index in seen] == recorded
    assert all(set(b.tolist()) <= set(a.tolist()) for a, b in itertools.pairwise(seen))


def test_replay_of_one_span_is_random_at_the_same_counts() -> None:
    prompt = layout((2, 3, 3), key="sample")
    plan = FastV(ratio=0.25, schedule=K(2)).plan([(2, 9)], 5)
    replayed, drawn = (walk(m, prompt, 5) for m in (Replay({"sample": plan}), RandomDrop(ratio=0.25, schedule=K(2))))
    assert all(torch.equal(a, b) for a, b in zip(replayed, drawn, strict=True))


def test_replay_refuses_another_run() -> None:
    prompt = layout((1, 1, 4), key="b")
    with pytest.raises(WinnowError, match="has no sample 'b': use one with the same tasks, limit and seed"):
        walk(Replay({"a": [4, 4]}), prompt, 2)
    for counts in ([4, 4, 4], [9, 9]):
        with pytest.raises(WinnowError, match=r"does not fit sample 'b'.*use the same model and frames"):
            walk(Replay({"b": counts}), prompt, 2)


@pytest.mark.parametrize("frames", [1, 2, 5, 8])
@pytest.mark.parametrize("select", ["highest", "lowest"])
def test_one_frame_of_each_pair_stays(frames: int, select: Literal["highest", "lowest"]) -> None:
    received = torch.rand(frames, 6, generator=torch.Generator().manual_seed(frames))
    prompt = Layout(frames * 6 + 2, (Span(torch.arange(frames * 6), frames, 2, 3),))
    signal = torch.cat([received.flatten(), torch.zeros(2)])
    none = torch.full((prompt.length,), -1)
    index = torch.arange(prompt.length)
    here = View(prompt, index, index[:, None], Site.layer(2, 8), none, none + 2, {(Rows("text"), 1): signal})
    kept = FramePairs(select=select).reduce(here).keep
    totals, choose = received.sum(1).tolist(), max if select == "highest" else min
    wanted = [choose(range(i, min(i + 2, frames)), key=lambda f: totals[f]) for i in range(0, frames, 2)]
    assert kept.tolist() == [6 * frame + i for frame in wanted for i in range(6)]
    assert len(kept) == FramePairs().plan([(frames, 6)], 8)[-1]


def test_frames_take_their_turns_by_the_golden_ratio() -> None:
    """Any number of first turns lies evenly over a film: multiples of 0.618 modulo one, in rising order."""
    assert turns(Grid(5, 1, 1)).flatten().tolist() == [0, 3, 1, 4, 2]

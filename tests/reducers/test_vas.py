import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from views import layout, view

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.probes import Rows
from winnow.reducers.core.schedule import Rounds
from winnow.reducers.vas import VAS

TEXT = Rows("text")
NOW = Rounds(start=6, end=20, interval=3)


def signals(prompt, values: torch.Tensor, layer: int) -> dict:  # noqa: ANN001
    """Attention ``(3, frames, positions)`` at the three layers before `layer`, on the prompt axis."""
    made = {}
    for back, grid in enumerate(values):
        row = torch.zeros(prompt.length)
        row[prompt.visual] = grid.flatten()
        made[TEXT, layer - 3 + back] = row
    return made


def by_hand(values: torch.Tensor, r: float, trigger: float, forced: bool) -> tuple[list[int], list[int]]:
    """Algorithm 1 with loops: which frames and positions stay."""
    frames, positions = values.shape[1:]
    track = {"t": values.double().sum(2).tolist(), "s": values.double().sum(1).tolist()}
    share = {}
    for axis, n in (("t", frames), ("s", positions)):
        falls = [track[axis][0][i] > track[axis][1][i] > track[axis][2][i] for i in range(n)]
        share[axis] = sum(falls) / n if n > 1 else -1.0
    axis = "t" if share["t"] >= share["s"] else "s"
    if not forced and share[axis] <= trigger:
        return list(range(frames)), list(range(positions))
    n = frames if axis == "t" else positions
    rank = [track[axis][2][i] - track[axis][1][i] + track[axis][0][i] for i in range(n)]
    gone = sorted(range(n), key=lambda i: (rank[i], i))[: min(n - 1, max(1, round(r * n)))]
    kept = [i for i in range(n) if i not in gone]
    return (kept, list(range(positions))) if axis == "t" else (list(range(frames)), kept)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 5), st.integers(1, 6), st.sampled_from([0.2, 0.5]), st.booleans(), st.integers(0, 10**6))
def test_vas_is_algorithm_1(frames: int, positions: int, r: float, forced: bool, seed: int) -> None:
    values = torch.randint(0, 9, (3, frames, positions), generator=torch.Generator().manual_seed(seed)).float()
    prompt = layout((frames, 1, positions))
    layer = 6 if forced else 7
    gone = torch.full((prompt.length,), -1)
    if not forced:
        prompt = layout((frames + 1, 1, positions))  # one frame went at layer 6, so that no round is due at 7
        gone = torch.full((prompt.length,), -1)
        gone[prompt.visual[-positions:]] = 6
        values = torch.cat([values, torch.zeros(3, 1, positions)], 1)
    answer = VAS(r=r, trigger=0.4, schedule=NOW).reduce(view(prompt, layer, signals(prompt, values, layer), gone))
    rows, cols = by_hand(values[:, :frames], r, 0.4, forced)
    expected = [f * positions + p for f in rows for p in cols]
    kept = list(range(frames * positions)) if answer is None else (answer.keep - 3).tolist()
    assert kept == expected


@pytest.mark.parametrize(
    ("r", "interval", "memory"),
    [(0.3, 3, 0.397), (0.4, 3, 0.327), (0.5, 3, 0.281), (0.2, 4, 0.573), (0.3, 4, 0.452)],
)
def test_forced_rounds_explain_table_4(r: float, interval: int, memory: float) -> None:
    plan = VAS(r=r, schedule=Rounds(6, -4, interval)).plan([(8, 196)], 32)
    assert sum(plan) / 32 / 1568 == pytest.approx(memory, abs=2e-3)


def test_presets_of_the_40b_model() -> None:
    share = {
        start: sum(VAS(r=0.3, schedule=Rounds(start, -4, 4)).plan([(8, 196)], 60)) / 60 / 1568 for start in (7, 13, 20)
    }
    assert share[13] == pytest.approx(0.37, abs=2e-3)
    assert share[7] == pytest.approx(0.271, abs=2e-3)
    assert share[20] == pytest.approx(0.484, abs=2e-3)


def test_ratio_is_the_floor_of_the_forced_rounds() -> None:
    method = VAS(ratio=0.25, schedule=Rounds(6, -4, 3))
    assert method.plan([(8, 196)], 32)[-1] == pytest.approx(0.25 * 1568, abs=1)
    assert method.drop(32) == pytest.approx(1 - 0.25 ** (1 / 8))


def test_last_round_is_clipped_at_the_floor() -> None:
    prompt = layout((4, 1, 5))
    values = torch.rand(3, 4, 5, generator=torch.Generator().manual_seed(0))
    method = VAS(ratio=0.7, r=0.9, schedule=NOW)
    kept = method.reduce(view(prompt, 6, signals(prompt, values, 6))).keep
    assert len(kept) >= 14


def test_a_round_is_due_once_per_interval() -> None:
    prompt = layout((4, 1, 5))
    rising = torch.arange(60).float().view(3, 4, 5)
    gone = torch.full((prompt.length,), -1)
    assert VAS(schedule=NOW).reduce(view(prompt, 6, signals(prompt, rising, 6))) is not None
    gone[prompt.visual[:5]] = 6
    assert VAS(schedule=NOW).reduce(view(prompt, 8, signals(prompt, rising, 8), gone)) is None
    assert VAS(schedule=NOW).reduce(view(prompt, 9, signals(prompt, rising, 9), gone)) is not None


def test_reset_waits_for_three_new_layers() -> None:
    prompt = layout((4, 1, 5))
    falling = torch.arange(60, 0, -1).float().view(3, 4, 5)
    gone = torch.full((prompt.length,), -1)
    gone[prompt.visual[:5]] = 6
    state = view(prompt, 8, signals(prompt, falling, 8), gone)
    assert VAS(history="reset", schedule=NOW).reduce(state) is None
    assert VAS(history="survivors", schedule=NOW).reduce(state) is not None


def test_final_drop_leaves_nothing() -> None:
    prompt = layout((4, 1, 5))
    assert len(VAS(final="drop", schedule=NOW).reduce(view(prompt, 20)).keep) == 0
    assert VAS(final="drop", schedule=NOW).plan([(4, 5)], 28)[20:] == [0] * 8


def test_trends_need_three_layers() -> None:
    with pytest.raises(WinnowError, match="needs 3 layers before"):
        VAS(schedule=Rounds(2, 9, 3)).sites(28)


def test_shares_are_checked() -> None:
    with pytest.raises(WinnowError, match=r"reducer\.r=1\.5"):
        VAS(r=1.5)

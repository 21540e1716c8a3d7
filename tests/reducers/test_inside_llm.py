"""VTW, PDrop, VCC and ToMe."""

import pytest
import torch
from answers import check, memory
from hypothesis import given, settings
from hypothesis import strategies as st
from views import layout, view, walk

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.probes import Keys, LookAhead
from winnow.reducers.core.schedule import Cuts, First, K
from winnow.reducers.core.site import Site
from winnow.reducers.pdrop import PDrop
from winnow.reducers.tome import ToMe
from winnow.reducers.vcc import VCC
from winnow.reducers.vtw import VTW


def test_vtw_withdraws_everything_at_k() -> None:
    assert VTW().plan([(1, 576)], 32) == [576] * 15 + [0] * 17
    assert VTW(schedule=K(6)).plan([(32, 196)], 28) == [6272] * 6 + [0] * 22
    assert VTW(ratio=0.25).plan([(1, 576)], 32) == [576] * 8 + [0] * 24
    assert VTW(ratio=0.01).plan([(1, 4)], 32) == [4] + [0] * 31
    assert VTW(ratio=1.0).plan([(1, 4)], 8) == [4] * 8 == VTW(schedule=K(8)).plan([(1, 4)], 8)
    assert VTW(ratio=0.25).knobs(32)["schedule"] == "k=8"
    prompt = layout((2, 2, 2), (1, 1, 3))
    text = [i for i in range(prompt.length) if not prompt.is_visual[i]]
    assert [index.tolist() for index in walk(VTW(schedule=K(2)), prompt, 4)[2:]] == [text, text]


def test_pdrop_counts_of_the_paper() -> None:
    plan = PDrop().plan([(1, 576)], 32)
    assert plan == [576] * 8 + [288] * 8 + [144] * 8 + [72] * 8
    assert PDrop(ratios=[0.5, 0.25, 0.125]).plan([(1, 576)], 32) == plan
    assert sum(plan) / 32 == 270
    assert [PDrop().plan([(32, 196)], 28)[layer] for layer in (6, 7, 14, 21)] == [6272, 3136, 1568, 784]


def test_pdrop_counts_that_explain_aims_rows() -> None:
    video = PDrop(ratios=[0.05, 0.025, 0.0125], schedule=Cuts((6, 13, 20))).plan([(32, 196)], 28)
    assert video == [6272] * 6 + [313] * 7 + [156] * 7 + [78] * 8
    image = PDrop(ratios=[0.05, 0.025, 0.0125], schedule=Cuts((7, 15, 23))).plan([(1, 576)], 32)
    assert image == [576] * 7 + [28] * 8 + [14] * 8 + [7] * 9


@settings(deadline=None, max_examples=120)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=30),
    st.sampled_from([(0.5, 0.25, 0.125), (0.9, 0.9, 0.1), (1.0, 0.3, 0.3)]),
)
def test_pdrop_is_its_paragraph(attention: list[int], ratios: tuple[float, ...]) -> None:
    prompt, cuts = layout((1, 1, len(attention))), (2, 3, 5)
    row = torch.zeros(prompt.length)
    row[prompt.visual] = torch.tensor(attention).float()
    method = PDrop(ratios=ratios, schedule=Cuts(cuts))
    assert method.probes(8) == tuple((LookAhead(), cut) for cut in cuts)
    gone, alive = torch.full((prompt.length,), -1), list(range(len(attention)))
    for cut, ratio in zip(cuts, ratios, strict=True):
        kept = method.reduce(view(prompt, cut, {(LookAhead(), cut): row}, gone)).keep
        count = max(1, int(len(attention) * ratio + 1e-6))
        alive = sorted(sorted(alive, key=lambda i: (-attention[i], i))[:count])
        assert (kept - 3).tolist() == alive
        gone[prompt.visual[~torch.isin(prompt.visual, kept)]] = cut


def test_pdrop_wants_a_share_per_cut() -> None:
    with pytest.raises(WinnowError, match=r"ratios=\[0.5, 0.25\] is not allowed: give one falling share for each"):
        PDrop(ratios=[0.5, 0.25])
    with pytest.raises(WinnowError, match="falling share"):
        PDrop(ratios=[0.2, 0.5, 0.1])


@pytest.mark.parametrize(("frames", "tokens", "left"), [(16, 144, 1152), (8, 196, 784), (32, 144, 2304)])
def test_vcc_counts_of_vas(frames: int, tokens: int, left: int) -> None:
    for mode in ("1d", "2d_w"):
        assert VCC(mode=mode).plan([(frames, tokens)], 32) == [2 * left] * 2 + [left] * 30
    assert memory(VCC().plan([(frames, tokens)], 32)) == pytest.approx(0.531, abs=5e-4)
    assert memory(VCC().plan([(frames, tokens)], 28)) == pytest.approx(0.536, abs=5e-4)
    assert VCC(stride=4, mode="2d").plan([(frames, tokens)], 32)[-1] == left // 2


def windows_by_hand(frames: int, rows: int, cols: int, stride: int, mode: str) -> list[list[int]]:
    """The members of each window, by running over the cells."""
    height, width = {"1d": (1, stride), "2d_w": (1, stride), "2d": (int(stride**0.5),) * 2}[mode]
    rows, cols = (1, rows * cols) if mode == "1d" else (rows, cols)
    members: dict[tuple[int, int, int], list[int]] = {}
    for f in range(frames):
        for r in range(rows):
            for c in range(cols):
                members.setdefault((f, r // height, c // width), []).append((f * rows + r) * cols + c)
    return sorted(members.values())


@settings(deadline=None, max_examples=150)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(1, 5),
    st.sampled_from([("1d", 2), ("1d", 3), ("1d", 8), ("2d_w", 2), ("2d_w", 3), ("2d", 4), ("2d", 9)]),
    st.booleans(),
)
def test_vcc_is_its_paragraph(frames: int, rows: int, cols: int, how: tuple[str, int], drop: bool) -> None:
    mode, stride = how
    prompt = layout((frames, rows, cols))
    method = VCC(mode=mode, stride=stride, remainder="drop" if drop else "own")  # type: ignore[arg-type]
    answer = method.reduce(view(prompt, 2))
    members = windows_by_hand(frames, rows, cols, stride, mode)
    members = [window for window in members if len(window) == stride] if drop else members
    check(answer, members, [window[0] for window in members], len(prompt.visual))
    assert method.plan([prompt.spans[0].grid], 4)[-1] == len(members)


def test_vcc_ratios_are_one_over_a_stride() -> None:
    assert VCC(ratio=1 / 3).window == 3 == VCC(ratio=0.333).window
    assert VCC(ratio=0.5, stride=8).knobs(32)["stride"] == 8
    with pytest.raises(WinnowError, match=r"ratio=0.3 is not allowed: reducer=vcc takes 1/stride, choose 1, 0.5, 0.33"):
        VCC(ratio=0.3)
    with pytest.raises(WinnowError, match=r"stride=2 is not allowed with reducer.mode=2d: choose 1, 4, 9, 16"):
        VCC(mode="2d")


@pytest.mark.parametrize(
    ("frames", "tokens", "depth", "r", "share", "left"),
    [
        (16, 144, 32, 48, 0.695, 1152),
        (8, 196, 32, 36, 0.664, 704),
        (8, 196, 32, 32, 0.7015, 800),
        (32, 144, 28, 120, 0.654, 1728),
    ],
)
def test_tome_counts_of_vas(frames: int, tokens: int, depth: int, r: int, share: float, left: int) -> None:
    plan = ToMe(r=r).plan([(frames, tokens)], depth)
    assert memory(plan) == pytest.approx(share, abs=5e-4)
    assert plan[0] == frames * tokens and plan[24] == plan[-1] == left


def test_tome_ratio_is_what_is_left() -> None:
    assert ToMe(ratio=0.5).plan([(16, 144)], 32) == ToMe(r=48).plan([(16, 144)], 32)
    assert ToMe(ratio=0.3).plan([(8, 196)], 32)[-1] == round(1568 * 0.3)
    assert ToMe(ratio=0.05, schedule=First(2)).plan([(1, 100)], 4) == [100, 52, 26, 26]  # at most half in a layer
    with pytest.raises(WinnowError, match=r"reducer.r=-1"):
        ToMe(r=-1)


def tome_by_hand(keys: torch.Tensor, count: int) -> list[list[int]]:
    """The groups that are left, in the order of their destinations; the destination comes first."""
    vectors = keys.double().mean(1)

    def similar(i: int, j: int) -> float:
        norms = float(vectors[i].norm() * vectors[j].norm())
        return float(vectors[i] @ vectors[j]) / norms if norms else 0.0

    n = len(vectors)
    count = min(count, n // 2)
    best = {i: max(range(1, n, 2), key=lambda j, i=i: (similar(i, j), -j)) for i in range(0, n, 2)} if n > 1 else {}
    source = sorted(best, key=lambda i: (-similar(i, best[i]), i))[:count]
    groups = {i: [i] for i in range(n) if i not in source}
    for i in source:
        groups[best[i]].append(i)
    return [groups[i] for i in sorted(groups)]


@settings(deadline=None, max_examples=150, derandomize=True)
@given(
    st.integers(1, 15),
    st.integers(0, 9),
    st.booleans(),
    st.booleans(),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.integers(0, 10**6),
)
def test_tome_is_its_paragraph(n: int, r: int, ties: bool, rope: bool, dtype: torch.dtype, seed: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    prompt = layout((1, 1, n))
    keys = torch.randn(prompt.length, 2, 3, generator=draw).to(dtype)
    if ties:  # vectors along the axes, with zeros: every cosine is -1, 0 or 1 exactly
        axis = torch.randint(0, 3, (prompt.length,), generator=draw)
        length = torch.randint(-2, 3, (prompt.length,), generator=draw)
        keys = (torch.eye(3)[axis] * length[:, None])[:, None].expand(-1, 2, -1).to(dtype)
    answer = ToMe(r=r, rope=rope).reduce(view(prompt, Site.inside(4, 28), {(Keys(rope), 4): keys}))
    groups = tome_by_hand(keys[prompt.visual], r)
    check(answer, groups, [group[0] for group in groups], n)


def test_tome_weighs_sizes() -> None:
    prompt = layout((1, 1, 2))
    state = view(prompt, Site.inside(3, 28), {(Keys(), 3): torch.ones(prompt.length, 2, 3)})
    object.__setattr__(state, "size", torch.tensor([1, 1, 1, 3, 1, 1, 1, 1, 1, 1]))
    assert ToMe(r=1, size_weighted=True).reduce(state).weights.to_dense().tolist() == [[0.75, 0.25]]
    assert ToMe(r=1).reduce(state).weights.to_dense().tolist() == [[0.5, 0.5]]


def test_spans_do_not_merge_into_each_other() -> None:
    prompt = layout((2, 2, 2), (1, 1, 3), (1, 1, 1))
    last = walk(ToMe(r=2, schedule=First(2)), prompt, 4)[-1]
    assert [int(torch.isin(last, span.positions).sum()) for span in prompt.spans] == [4, 1, 1]

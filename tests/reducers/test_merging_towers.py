import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from towers import CLIP, SIGLIP, check, contents, frame, leaves, natural, walk

from winnow.reducers.cgsm import CGSM
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import ClsRow, ColumnMean, Tower, TowerKeys, TowerView
from winnow.reducers.core.tower_methods import merges
from winnow.reducers.tome_tower import ToMeTower

TINY = Tower(blocks=3, used=2, rows=5, cols=5, cls=True)
BARE = Tower(blocks=3, used=3, rows=5, cols=5, cls=False)
DTYPES = st.sampled_from([torch.float32, torch.bfloat16])


def cosine(a: list[float], b: list[float]) -> float:
    lengths = math.sqrt(sum(x * x for x in a)) * math.sqrt(sum(x * x for x in b))
    return sum(x * y for x, y in zip(a, b, strict=True)) / lengths if lengths else 0.0


def mean_keys(view: TowerView) -> list[list[float]]:
    return view.signals[TowerKeys(), view.block].double().mean(1).tolist()


def tome_by_hand(view: TowerView, r: int, method: ToMeTower) -> tuple[list[int], list[Tensor]]:
    """The official procedure, with the CLS token in its place: even tokens look for their best odd one."""
    keys, hidden = mean_keys(view), view.hidden.double()
    first = 1 if view.tower.cls else 0
    a = [i for i in range(len(keys)) if (i + first) % 2 == 0]
    b = [i for i in range(len(keys)) if (i + first) % 2 == 1]
    best = {i: max(b, key=lambda j: (cosine(keys[i], keys[j]), -j)) for i in a} if b else {}
    merged = sorted(a, key=lambda i: (-cosine(keys[i], keys[best[i]]), i))[:r] if b else []
    tokens = {}
    left = [i for i in a if i not in merged]
    if not view.tower.cls and method.order == "official":  # officially sorted only where there is a class token
        left.sort(key=lambda i: (-cosine(keys[i], keys[best[i]]), i))
    for i in left + b:
        group = [i, *(j for j in merged if best[j] == i)]
        size = [float(view.size[j]) if method.weighted else 1.0 for j in group]
        tokens[i] = sum(s * hidden[j] for s, j in zip(size, group, strict=True)) / sum(size)
    order = sorted(tokens) if method.order == "raster" else list(tokens)
    return [int(view.index[i]) for i in sorted(tokens)], [tokens[i] for i in order]


@settings(deadline=None, max_examples=250)
@given(
    st.integers(2, 25),
    st.integers(0, 10**6),
    st.integers(1, 14),
    st.booleans(),
    st.sampled_from(["raster", "official"]),
    st.sampled_from([TINY, BARE]),
    DTYPES,
)
def test_tome_is_its_paragraph(n, seed, r, weighted, order, tower, dtype) -> None:  # noqa: ANN001
    method = ToMeTower(r=r, weighted=weighted, order=order)
    view = frame(tower, method, 0, n, seed, dtype)
    answer = method.reduce(view)
    check(view, answer)
    slots, tokens = tome_by_hand(view, min(r, n // 2), method)
    assert answer.keep.tolist() == slots
    assert (contents(view, answer) - torch.stack(tokens)).abs().max() < 1e-5


def test_tome_without_a_class_token_leaves_the_most_alike_first() -> None:
    """The official code sorts unmerged tokens only where a class token exists."""
    angles = torch.tensor([0.0, 25, 90, 90.2, 180, 190]).deg2rad()
    row = Tower(blocks=1, used=1, rows=1, cols=6, cls=False)
    keys = torch.stack([angles.cos(), angles.sin()], 1)[:, None]
    site, hidden = Site.tower(0, row), torch.eye(6)
    view = TowerView(site, hidden, torch.arange(6), torch.ones(6).long(), {(TowerKeys(), 0): keys})
    left = {}
    for order in ("raster", "official", "sorted"):
        answer = ToMeTower(r=1, order=order).reduce(view)  # type: ignore[arg-type]
        left[order] = [members.nonzero().flatten().tolist() for members in contents(view, answer)]
        if order != "raster":
            own = answer.own
            assert own is not None and own.tolist() == [4, 0, 1, 3, 5]
    assert left["raster"] == [[0], [1], [2, 3], [4], [5]]
    assert left["official"] == left["sorted"] == [[4], [0], [1], [2, 3], [5]]
    later = replace(view, site=Site.features(row), hidden=hidden[:5], index=torch.tensor([0, 1, 3, 4, 5]), own=own)
    last = ToMeTower(r=1, order="sorted").reduce(later)
    assert contents(later, last).argmax(1).tolist() == [1, 2, 3, 0, 4]
    assert last.own is not None and last.own.tolist() == [0, 1, 3, 4, 5]


def test_tome_keeps_mass() -> None:
    method = ToMeTower(r=12)
    view = frame(TINY, method, 0, 25, 0)
    weights = method.reduce(view).weights.to_dense()
    assert torch.allclose(weights.sum(1), torch.ones(len(weights)))
    assert ((weights > 0).sum(0) == 1).all()


@pytest.mark.parametrize(("method", "left"), [(ToMeTower(r=18), 162), (ToMeTower(r=19), 139), (ToMeTower(), 144)])
def test_tome_counts_of_clip(method: ToMeTower, left: int) -> None:
    assert leaves(method, CLIP) == left
    assert walk(CLIP, method)[-1] == left


def test_a_quarter_of_clip_is_18_blocks_of_19_and_5_of_18() -> None:
    assert merges(CLIP, None, 0.25) == [19] * 18 + [18] * 5


@pytest.mark.parametrize("tower", [CLIP, SIGLIP, TINY, BARE])
@pytest.mark.parametrize("ratio", [0.3, 0.5, 0.77, 0.99, 1.0])
def test_any_ratio_is_met_exactly(tower: Tower, ratio: float) -> None:
    for method in (ToMeTower(ratio=ratio), CGSM(ratio=ratio)):
        assert leaves(method, tower) == round(ratio * tower.patches)
        assert [tower.patches, *walk(tower, method)][-1] == leaves(method, tower)


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 30), st.integers(1, 6), st.floats(0.01, 1))
def test_merges_halve_at_most_and_meet_the_ratio(patches: int, used: int, ratio: float) -> None:
    tower = Tower(used, used, 1, patches, False)
    kept = max(1, round(patches * ratio))
    if kept < math.ceil(patches / 2**used):
        with pytest.raises(WinnowError, match=r"out of reach.*choose ratio >= "):
            merges(tower, None, ratio)
        return
    present = patches
    for count in merges(tower, None, ratio):
        assert 0 <= count <= present // 2
        present -= count
    assert present == kept


def test_lists_and_ramps_of_r() -> None:
    assert merges(CLIP, [3, 2], 1.0) == [3, 2] + [0] * 21
    assert ToMeTower(r=[3, 2]).blocks(CLIP) == (0, 1)
    falling = merges(Tower(3, 3, 24, 24, True), 8, 1.0, inflection=-1)
    assert falling == [16, 8, 0]
    assert merges(Tower(3, 3, 24, 24, True), 8, 1.0, inflection=1) == [0, 8, 16]
    assert merges(TINY, 100, 1.0) == [12, 6]


def test_no_merges_do_nothing() -> None:
    for method in (ToMeTower(ratio=1.0), ToMeTower().keep_all(), CGSM().keep_all(), CGSM(ratio=1.0)):
        assert method.blocks(CLIP) == ()
        assert leaves(method, CLIP) == 576


def test_negative_merges_are_named() -> None:
    with pytest.raises(WinnowError, match=r"reducer.r=-1 is not allowed"):
        ToMeTower(r=-1)
    with pytest.raises(WinnowError, match=r"reducer.r=\[2, -3\] is not allowed"):
        CGSM(r=[2, -3])


def cgsm_by_hand(view: TowerView, r: int, method: CGSM) -> tuple[list[int], list[Tensor]]:
    """CrossGET's five steps, one pair after the other."""
    n, keys, hidden = len(view.index), mean_keys(view), view.hidden.double()
    similar = [[-math.inf if i == j else cosine(keys[i], keys[j]) for j in range(n)] for i in range(n)]
    received = view.signals[ColumnMean(), view.block].double().tolist()
    by_cls = view.tower.cls and method.guide == "auto"
    guide = view.signals[ClsRow(), view.block].double().tolist() if by_cls else received
    important = [x + y for x, y in zip(received, guide, strict=True)]
    ranked = sorted(range(n), key=lambda i: (-max(similar[i]), i))
    cost = {}
    for place, i in enumerate(ranked):
        behind = [similar[i][j] for j in ranked[place + 1 :]]
        cost[i] = important[i] - max(behind) if behind else math.inf
    sources = sorted(range(n), key=lambda i: (cost[i], i))[:r]
    left = [i for i in range(n) if i not in sources]
    total = {i: float(view.size[i]) for i in left}
    sums = {i: float(view.size[i]) * hidden[i] for i in left}
    for i in sources:
        j = max(left, key=lambda j: (similar[i][j], -j))
        w = [math.exp(important[i]), math.exp(important[j])]
        w_src, w_dst = (2 * x / sum(w) for x in w) if method.weighted else (1.0, 1.0)
        sums[j] = sums[j] + w_src * float(view.size[i]) * hidden[i] + (w_dst - 1) * float(view.size[j]) * hidden[j]
        total[j] += float(view.size[i])
    return [int(view.index[i]) for i in left], [sums[i] / total[i] for i in left]


@settings(deadline=None, max_examples=250)
@given(
    st.integers(2, 25),
    st.integers(0, 10**6),
    st.integers(1, 14),
    st.booleans(),
    st.sampled_from(["auto", "mean"]),
    st.sampled_from([TINY, BARE]),
    DTYPES,
)
def test_cgsm_is_its_five_steps(n, seed, r, weighted, guide, tower, dtype) -> None:  # noqa: ANN001
    method = CGSM(r=r, weighted=weighted, guide=guide)
    view = frame(tower, method, 0, n, seed, dtype)
    answer = method.reduce(view)
    check(view, answer)
    slots, tokens = cgsm_by_hand(view, min(r, n // 2), method)
    assert answer.keep.tolist() == slots
    assert (contents(view, answer) - torch.stack(tokens)).abs().max() < 1e-4


def test_cgsm_counts_of_llava() -> None:
    assert leaves(CGSM(), CLIP) == 277
    assert walk(CLIP, CGSM())[-1] == 277


@pytest.mark.parametrize("tower", [TINY, BARE])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_both_on_real_numbers(tower: Tower, dtype: torch.dtype) -> None:
    for seed in range(25):
        for method, by_hand in ((ToMeTower(r=9), tome_by_hand), (CGSM(r=9), cgsm_by_hand)):
            view = natural(frame(tower, method, 0, 24, seed, dtype), seed)
            slots, tokens = by_hand(view, 9, method)
            answer = method.reduce(view)
            assert answer.keep.tolist() == slots
            assert (contents(view, answer) - torch.stack(tokens)).abs().max() < 1e-4


def test_a_guide_that_is_not_there() -> None:
    with pytest.raises(UnsupportedError, match=r"guide=cls needs .*choose mean, or auto"):
        CGSM(guide="cls").tower_probes(SIGLIP)
    assert CGSM().tower_probes(SIGLIP)[:2] == ((TowerKeys(), 0), (ColumnMean(), 0))

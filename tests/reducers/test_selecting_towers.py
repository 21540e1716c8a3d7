import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from towers import CLIP, SIGLIP, check, contents, draw, frame, leaves, natural, walk

from winnow.reducers.ats import ATS, sample
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.tower import ClsRow, ColumnMean, Headless, Tower, TowerKeys, TowerView
from winnow.reducers.evit import EViT
from winnow.reducers.prumerge import PruMerge, outliers

TINY = Tower(blocks=3, used=2, rows=5, cols=5, cls=True)
BARE = Tower(blocks=3, used=3, rows=5, cols=5, cls=False)
DTYPES = st.sampled_from([torch.float32, torch.bfloat16])
TOWERS = st.sampled_from([TINY, BARE])
SEEDS = st.integers(0, 10**6)


def in_order(view: TowerView, places: list[int], tokens: list[Tensor], order: str) -> tuple[list[int], Tensor]:
    """Slots, and contents in raster or in the given order."""
    by = sorted(range(len(places)), key=lambda i: places[i]) if order == "raster" else range(len(places))
    return [int(view.index[p]) for p in sorted(places)], torch.stack([tokens[i] for i in by])


def evit_by_hand(view: TowerView, kept: int, method: EViT, fuse: bool) -> tuple[list[int], Tensor]:
    """Sort by attention, keep the first, add up the rest."""
    attention = next(a for (_, block), a in view.signals.items() if block == view.block).double().tolist()
    hidden = view.hidden.double()
    ranked = sorted(range(len(attention)), key=lambda i: (-attention[i], i))
    places, tokens = ranked[:kept], [hidden[i] for i in ranked[:kept]]
    if fuse:
        tokens.append(sum((attention[i] * hidden[i] for i in ranked[kept:]), torch.zeros(6).double()))
        places = [*places, max(ranked[kept:])]
    return in_order(view, places, tokens, method.order)


@settings(deadline=None, max_examples=200)
@given(
    st.integers(1, 25),
    SEEDS,
    st.floats(0.05, 1),
    st.booleans(),
    st.sampled_from(["raster", "official"]),
    TOWERS,
    DTYPES,
)
def test_evit_is_its_paragraph(n, seed, rate, fuse, order, tower, dtype) -> None:  # noqa: ANN001
    method = EViT(rate=rate, fuse=fuse, order=order)
    view = frame(tower, method, 0, n, seed, dtype)
    answer = method.reduce(view)
    kept = math.ceil(rate * n)
    if kept == n:
        assert answer is None
        return
    check(view, answer)
    slots, tokens = evit_by_hand(view, kept, method, fuse)
    assert answer.keep.tolist() == slots
    assert (contents(view, answer) - tokens).abs().max() < 1e-5


def test_evit_counts_of_clip() -> None:
    assert EViT().blocks(CLIP) == (6, 12, 18)
    assert walk(CLIP, EViT()) == walk(CLIP, EViT(rate=0.63)) == [364, 231, 147]
    assert leaves(EViT(), CLIP) == 147
    assert walk(CLIP, EViT(rate=0.63, fuse=False)) == [363, 229, 145]
    assert walk(CLIP, EViT(ratio=0.25)) == [363, 229, 144]


@pytest.mark.parametrize("tower", [CLIP, SIGLIP, TINY, BARE])
@pytest.mark.parametrize("fuse", [True, False])
@pytest.mark.parametrize("ratio", [0.01, 0.1, 0.33, 0.97, 1.0])
def test_evit_meets_any_ratio(tower: Tower, fuse: bool, ratio: float) -> None:
    method = EViT(ratio=ratio, fuse=fuse)
    assert leaves(method, tower) == walk(tower, method)[-1] == max(1, round(tower.patches * ratio))


def test_keeping_all_is_no_answer() -> None:
    for method in (EViT().keep_all(), EViT(ratio=1.0), ATS().keep_all(), ATS(n=9).keep_all(), PruMerge().keep_all()):
        for tower in (CLIP, BARE):
            for block in method.blocks(tower):
                assert method.reduce(frame(tower, method, block, tower.patches, 0)) is None


def test_who_guides() -> None:
    assert EViT().tower_probes(CLIP)[0] == (ClsRow(), 6)
    assert EViT(guide="mean").tower_probes(CLIP)[0] == (ColumnMean(), 6)
    assert EViT().tower_probes(SIGLIP)[0] == ATS().tower_probes(SIGLIP)[0] == (ColumnMean(), 6)
    for method in (EViT(guide="cls"), ATS(guide="cls")):
        with pytest.raises(UnsupportedError, match="choose mean, or auto"):
            method.tower_probes(SIGLIP)


def test_places_outside_the_tower_are_named() -> None:
    for at in ([1.0], [-0.1, 0.5], []):
        with pytest.raises(WinnowError, match=r"reducer.at=.* is not allowed"):
            EViT(at=at)


def sampled_by_hand(score: list[float], levels: int, best_only: bool) -> list[set[int]]:
    """Per level, in exact fractions, all tokens that are nearest."""
    values = [Fraction(s) for s in score] if any(score) else [Fraction(1)] * len(score)
    order = sorted(range(len(values)), key=lambda i: (values[i], i))
    cdf, total = {}, Fraction(0)
    for i in order:
        total += values[i]
        cdf[i] = total
    low = cdf[order[0]]
    cdf = {i: (c - low) / (total - low) for i, c in cdf.items()}
    start = min(c for c in cdf.values() if c > 0)
    grid = [start + (1 - start) * Fraction(i, levels - 1) for i in range(levels)] if levels > 1 else [Fraction(1)]
    candidates = order[-levels:] if best_only else order
    nearest = []
    for y in grid:
        least = min(abs(cdf[i] - y) for i in candidates)
        nearest.append({i for i in candidates if abs(cdf[i] - y) == least})
    return nearest


@settings(deadline=None, max_examples=300)
@given(st.lists(st.integers(0, 9), min_size=2, max_size=30), st.integers(1, 40), st.booleans())
def test_ats_is_its_paragraph(score: list[int], levels: int, best_only: bool) -> None:
    kept = sample(torch.tensor(score).float(), levels, best_only).tolist()
    nearest = sampled_by_hand(score, levels, best_only)
    assert kept == sorted(set(kept))
    assert set(kept) <= set().union(*nearest)
    assert all(set(kept) & ties for ties in nearest)
    assert 1 <= len(kept) <= min(levels, len(score))


def test_ats_without_any_score_is_uniform() -> None:
    assert sample(torch.zeros(9), 3, best_only=False).tolist() == sample(torch.ones(9), 3, best_only=False).tolist()
    assert sample(torch.zeros(17), 9, best_only=False).tolist() == [1, 3, 5, 7, 8, 10, 12, 14, 16]
    assert sample(torch.zeros(1), 5, best_only=True).tolist() == [0]


def test_ats_takes_the_best_when_one_token_has_it_all() -> None:
    score = torch.zeros(20)
    score[7] = 1
    for best_only in (True, False):
        assert 7 in sample(score, 6, best_only).tolist()


def test_ats_candidates_change_the_choice() -> None:
    score = torch.rand(576, generator=draw(0)) ** 4
    official, everything = sample(score, 144, True), sample(score, 144, False)
    best = score.sort(descending=True).indices[:144]
    assert torch.isin(official, best).all()
    assert not torch.isin(everything, best).all()


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 25), SEEDS, st.sampled_from([None, 2, 9, 40]), TOWERS, DTYPES)
def test_ats_scores_attention_times_value_norm(n, seed, count, tower, dtype) -> None:  # noqa: ANN001
    method = ATS(n=count)
    view = frame(tower, method, 0, n, seed, dtype)
    answer = method.reduce(view)
    levels = max(8, count) - 1 if count else round(25 * 0.25 ** (1 / len(method.blocks(tower))))
    if count is None and levels >= n:
        assert answer is None
        return
    check(view, answer)
    attention, values = (view.signals[key] for key in method.tower_probes(tower)[:2])
    score = [
        float(a) * math.sqrt(sum(float(x) ** 2 for x in v.flatten())) for a, v in zip(attention, values, strict=True)
    ]
    expected = sample(torch.tensor(score), levels, True)
    assert answer.keep.tolist() == view.index[expected].tolist()
    assert answer.weights is None


def test_ats_counts() -> None:
    assert ATS().blocks(CLIP) == (6, 12, 18)
    assert leaves(ATS(), CLIP) == 144
    assert leaves(ATS(n=197), CLIP) == 196
    assert leaves(ATS(n=3), CLIP) == 7
    assert all(left <= most for left, most in zip(walk(CLIP, ATS(), seed=3), [363, 229, 144], strict=True))
    with pytest.raises(WinnowError, match=r"reducer.n=1 is not allowed"):
        ATS(n=1)


def outliers_by_hand(attention: list[float]) -> int:
    q1, q3 = np.percentile(np.array(attention), [25, 75])
    return max(1, sum(a > q3 + 1.5 * (q3 - q1) for a in attention))


def uniform_by_hand(n: int, m: int, variant: str) -> list[int]:
    if variant == "paper":
        return [math.floor((i + 0.5) * n / m) for i in range(m)]
    stride, places, i = max(1, int(int(n / m) / 3)), [], 0
    while i < n - 1:
        places.append(i)
        i += stride
    return places


def similar(a: Tensor, b: Tensor, variant: str) -> float:
    lengths = 1.0 if variant == "paper" else float(a.norm() * b.norm())
    return float(a @ b) / lengths if lengths else 0.0


def prumerge_by_hand(view: TowerView, method: PruMerge) -> tuple[list[int], Tensor]:
    """Algorithm 1, or the released code in the paper's words, token after token."""
    (attention, keys), y = (s.double() for s in view.signals.values()), view.hidden.double()
    a, keys, n = attention.tolist(), keys.flatten(1), len(attention)
    ranked = sorted(range(n), key=lambda i: (-a[i], i))
    m = outliers_by_hand(a)
    selected = ranked[:m]
    if method.plus:
        selected += [i for i in uniform_by_hand(n, m, method.variant) if i not in ranked[:m]]
    tokens = []
    for p in selected:
        others = sorted((i for i in range(n) if i != p), key=lambda i: (-similar(keys[p], keys[i], method.variant), i))
        near = others[: method.k] if method.merge else []
        token = torch.zeros(6).double() if method.variant == "paper" and method.merge else y[p].clone()
        total = sum(a[q] for q in near) if method.normalise else 1.0
        for q in near:
            token += a[q] * y[q] / total if total else 0 * y[q]
        tokens.append(token)
    rest = [i for i in range(n) if i not in selected]
    if method.variant == "official" and method.merge and rest:
        tokens.append(sum(a[i] * y[i] for i in rest))
        selected = [*selected, rest[-1]]
    return in_order(view, selected, tokens, method.order or ("raster" if method.variant == "paper" else "official"))


@settings(deadline=None, max_examples=300)
@given(
    st.integers(1, 25),
    SEEDS,
    st.booleans(),
    st.sampled_from(["official", "paper"]),
    st.booleans(),
    st.sampled_from([1, 3, 32]),
    st.booleans(),
    st.sampled_from([None, "raster", "official"]),
    TOWERS,
    DTYPES,
)
def test_prumerge_is_its_paragraph(n, seed, plus, variant, merge, k, normalise, order, tower, dtype) -> None:  # noqa: ANN001
    method = PruMerge(plus=plus, variant=variant, merge=merge, k=k, normalise=normalise, order=order)
    view = frame(tower, method, tower.used, n, seed, dtype)
    answer = method.reduce(view)
    check(view, answer)
    slots, tokens = prumerge_by_hand(view, method)
    assert answer.keep.tolist() == slots
    assert (contents(view, answer) - tokens).abs().max() < 1e-4


@pytest.mark.parametrize("tower", [TINY, BARE])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_prumerge_and_evit_on_real_numbers(tower: Tower, dtype: torch.dtype) -> None:
    for seed in range(25):
        for method in (PruMerge(k=5), PruMerge(k=5, plus=True, variant="paper"), PruMerge(normalise=True)):
            view = natural(frame(tower, method, tower.used, 25, seed, dtype), seed)
            slots, tokens = prumerge_by_hand(view, method)
            answer = method.reduce(view)
            assert answer.keep.tolist() == slots
            assert (contents(view, answer) - tokens).abs().max() < 1e-4
        view = natural(frame(tower, EViT(rate=0.4), 0, 25, seed, dtype), seed)
        assert EViT(rate=0.4).reduce(view).keep.tolist() == evit_by_hand(view, 10, EViT(), True)[0]


def with_outliers(tower: Tower, method: PruMerge, places: Tensor) -> TowerView:
    view = frame(tower, method, tower.used, tower.patches, 0)
    attention = view.signals[method.tower_probes(tower)[0]]
    attention.zero_()[places] = 0.01
    return view


@pytest.mark.parametrize(
    ("m", "total"), [(16, 64), (20, 83), (24, 94), (28, 120), (32, 124), (36, 145), (40, 175), (50, 226), (60, 233)]
)
def test_prumerge_plus_totals_of_clip(m: int, total: int) -> None:
    counts = []
    for seed in range(12):
        view = with_outliers(CLIP, PruMerge(plus=True), torch.randperm(576, generator=draw(seed))[:m])
        counts.append(len(PruMerge(plus=True).reduce(view).keep))
    assert sum(counts) / len(counts) == pytest.approx(total, abs=1.5)


def test_prumerge_keeps_every_outlier_of_729() -> None:
    lost = [m for m in range(1, 730) if int(729 * (m / 729)) < m]
    assert len(lost) == 49 and lost[:7] == [1, 2, 4, 8, 16, 23, 32]  # had the count gone through a ratio
    assert not [m for m in range(1, 577) if int(576 * (m / 576)) < m]
    for m in range(1, 183):
        view = with_outliers(SIGLIP, PruMerge(), torch.arange(m) * 4)
        assert len(PruMerge().reduce(view).keep) == m + 1


def test_prumerge_without_outliers_keeps_one() -> None:
    flat = torch.full((576,), 1 / 577)
    assert outliers(flat) == outliers(torch.zeros(576)) == outliers(torch.ones(1)) == 1
    for plus, left in ((False, 2), (True, 1 + 3 + 1 - 1)):
        method = PruMerge(plus=plus)
        view = with_outliers(CLIP, method, torch.arange(0))
        answer = method.reduce(view)
        check(view, answer)
        assert len(answer.keep) == left


@pytest.mark.parametrize("tower", [CLIP, SIGLIP, TINY, BARE])
@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("variant", ["official", "paper"])
@pytest.mark.parametrize("ratio", [0.001, 0.07, 0.25, 0.5, 0.98])
def test_prumerge_meets_any_ratio(tower: Tower, plus: bool, variant: str, ratio: float) -> None:
    method = PruMerge(ratio=ratio, plus=plus, variant=variant)
    assert not method.adaptive
    for seed in range(3):
        view = frame(tower, method, tower.used, tower.patches, seed)
        answer = method.reduce(view)
        check(view, answer)
        assert len(answer.keep) == leaves(method, tower) == max(1, round(ratio * tower.patches))


def test_prumerge_plus_at_a_quarter_takes_about_36_outliers() -> None:
    method = PruMerge(ratio=0.25, plus=True, order="raster", merge=False)
    view = with_outliers(CLIP, method, torch.arange(36) * 16 + 3)
    kept = set(method.reduce(view).keep.tolist())
    assert set((torch.arange(36) * 16 + 3).tolist()) <= kept
    assert len(kept & set(range(0, 575, 5))) > 100


def test_prumerge_orders() -> None:
    places = torch.tensor([500, 20, 300])
    method = PruMerge()
    view = with_outliers(CLIP, method, places)
    view.signals[Headless(), 23][places] = torch.tensor([0.3, 0.1, 0.2])
    official = method.reduce(view)
    assert official.keep.tolist() == [20, 300, 500, 575]
    assert official.weights.to_dense().argmax(1)[:3].tolist() == [500, 300, 20]
    raster = PruMerge(order="raster").reduce(view)
    assert raster.weights.to_dense().argmax(1)[:3].tolist() == [20, 300, 500]


def test_prumerge_reads_where_its_sources_read() -> None:
    assert PruMerge().tower_probes(CLIP) == ((Headless(), 23), (TowerKeys(), 23))
    assert PruMerge().tower_probes(SIGLIP) == ((Headless(), 25), (TowerKeys(), 25))
    assert PruMerge(variant="paper").tower_probes(CLIP) == ((ClsRow(), 22), (TowerKeys(), 22))
    assert PruMerge(variant="paper").tower_probes(SIGLIP) == ((ColumnMean(), 25), (TowerKeys(), 25))
    assert PruMerge().adaptive
    assert (leaves(PruMerge(), CLIP), leaves(PruMerge(plus=True), CLIP)) == (32, 144)


def test_prumerge_selection_alone_leaves_tokens_as_they_are() -> None:
    method = PruMerge(merge=False, order="raster")
    view = with_outliers(CLIP, method, torch.tensor([5, 9]))
    answer = method.reduce(view)
    assert torch.equal(contents(view, answer), view.hidden[[5, 9]].double())
    assert len(PruMerge(merge=False, extra=True).reduce(view).keep) == 3


def test_prumerge_mistakes_are_named() -> None:
    with pytest.raises(WinnowError, match=r"reducer.k=0 is not allowed"):
        PruMerge(k=0)
    with pytest.raises(WinnowError, match=r"reducer.order=random is not allowed: choose official"):
        PruMerge(order="random")
    with pytest.raises(WinnowError, match=r"ratio=0 is not allowed"):
        PruMerge(ratio=0)


@settings(deadline=None, max_examples=200)
@given(
    st.integers(2, 25),
    SEEDS,
    st.sampled_from([1 / 3, 0.25, 0.125, 0.05]),
    st.booleans(),
    st.sampled_from(["raster", "official"]),
    TOWERS,
)
def test_the_branch_of_prumerge_without_outliers(n, seed, attended, plus, order, tower) -> None:  # noqa: ANN001
    """Token after token, as the released code lists them: patches that are named twice stand twice."""
    method = PruMerge(plus=plus, attended=attended, order=order, k=3)
    view = frame(tower, method, tower.used, n, seed)
    (attention, keys), y = (s.double() for s in view.signals.values()), view.hidden.double()
    a, keys = attention.tolist(), keys.flatten(1)
    step = int(1 / attended)
    named = sorted(range(n), key=lambda i: (-a[i], i))[: max(1, int(n * attended))]
    named += list(range(step // 2, n - 1, step)) if plus else []
    tokens = []
    for p in named:
        others = sorted((i for i in range(n) if i != p), key=lambda i: (-similar(keys[p], keys[i], "official"), i))
        tokens.append(y[p] + sum((a[q] * y[q] for q in others[:3]), torch.zeros(6).double()))
    again = len(named) - len(set(named))
    rest = [i for i in range(n) if i not in named]
    slots, rest = sorted({*named, *rest[:again]}), rest[again:]
    if rest:
        tokens.append(sum(a[i] * y[i] for i in rest))
        named, slots = [*named, rest[-1]], sorted([*slots, rest[-1]])
    by = sorted(range(len(named)), key=lambda i: named[i]) if order == "raster" else range(len(named))
    answer = method.reduce(view)
    check(view, answer)
    assert answer.keep.tolist() == view.index[slots].tolist()
    assert torch.allclose(contents(view, answer), torch.stack([tokens[i] for i in by]), atol=1e-6)


def test_counts_of_the_branch_without_outliers() -> None:
    assert leaves(PruMerge(plus=True, attended=0.125), CLIP) == 72 + 72 + 1
    assert leaves(PruMerge(attended=0.125), CLIP) == 72 + 1 and not PruMerge(attended=0.125).adaptive
    with pytest.raises(WinnowError, match=r"reducer.attended=0.5 .* 0 < attended <= 1/3"):
        PruMerge(attended=0.5)


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 4), SEEDS, st.booleans())
def test_pictures_encoded_together_take_the_same_share(number, seed, plus) -> None:  # noqa: ANN001
    """The released code flattens the attention of the whole batch, and takes int(n * share) of each picture."""
    method = PruMerge(counts="batch", plus=plus, merge=False)
    views = [natural(frame(TINY, method, TINY.used, 25, seed + i), seed + i) for i in range(number)]
    signals = [view.signals for view in views]
    values = [float(a) for view in views for a in view.signals[Headless(), 2].double()]
    count = max(1, outliers_by_hand(values) * 25 // len(values))
    for view in views:
        chosen = method.reduce(replace(view, batch=signals)).keep
        alone = view.signals[Headless(), 2].double().tolist()
        best = sorted(range(25), key=lambda i: (-alone[i], i))[:count]
        assert set(view.index[best].tolist()) <= set(chosen.tolist()) and (plus or len(chosen) == count)

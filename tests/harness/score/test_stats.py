"""Intervals and tests against values computed by hand or by scipy, and properties that must hold for all data."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as reference

from winnow.harness.score.stats import clustered_difference, holm, mean_interval, paired_difference
from winnow.reducers.core.errors import WinnowError

BITS = st.lists(st.integers(0, 1), min_size=1, max_size=80)
PAIRS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=80)


def test_wilson_by_hand() -> None:
    # 8 of 10: centre (0.8 + z²/20) / (1 + z²/10) = 0.71675, half width 0.22657 with z = 1.959964.
    mean, low, high = mean_interval(np.array([1] * 8 + [0] * 2))
    assert mean == 0.8
    assert (low, high) == pytest.approx((0.49016, 0.94331), abs=1e-4)


@given(BITS)
def test_wilson_equals_scipy_and_holds_the_mean(bits: list[int]) -> None:
    mean, low, high = mean_interval(np.array(bits))
    expected = reference.binomtest(sum(bits), len(bits)).proportion_ci(method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= low <= mean + 1e-12 and mean - 1e-12 <= high <= 1


def test_t_interval_by_hand() -> None:
    # mean 2.5, s = 1.29099, t(0.975, 3) = 3.18245: half width 2.05426.
    assert mean_interval(np.array([1.0, 2.0, 3.0, 4.0])) == pytest.approx((2.5, 0.44574, 4.55426), abs=1e-5)


def test_one_score_that_is_not_binary_has_no_interval() -> None:
    mean, low, high = mean_interval(np.array([0.4]))
    assert mean == 0.4
    assert math.isnan(low) and math.isnan(high)


def test_mcnemar_by_hand() -> None:
    # 8 samples only a has right, 2 only b, 10 alike: p = 2 (1 + 10 + 45) / 2^10.
    a = np.array([1] * 8 + [0] * 2 + [1] * 10)
    b = np.array([0] * 8 + [1] * 2 + [1] * 10)
    found = paired_difference(a, b)
    assert found.mean == pytest.approx(0.3)
    assert found.p == pytest.approx(112 / 1024)
    # Bonett and Price: (9 - 3) / 22 ± 1.959964 sqrt((12/22 - (6/22)²) / 22) = 0.27273 ± 0.28680.
    assert (found.low, found.high) == pytest.approx((-0.01407, 0.55953), abs=1e-4)


def test_alike_runs_differ_by_nothing_but_not_for_certain() -> None:
    found = paired_difference(np.ones(50), np.ones(50))
    assert (found.mean, found.p) == (0.0, 1.0)
    assert found.low < 0 < found.high


@given(PAIRS)
def test_binary_difference_is_antisymmetric(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs).T
    forth, back = paired_difference(a, b), paired_difference(b, a)
    assert (forth.mean, forth.low, forth.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert forth.p == pytest.approx(back.p)
    assert -1 <= forth.low <= forth.high <= 1
    assert 0 < forth.p <= 1


def test_graded_scores_take_the_paired_t_test() -> None:
    a, b = np.array([0.5, 0.9, 0.4, 0.7, 0.8]), np.array([0.4, 0.7, 0.5, 0.3, 0.6])
    found, expected = paired_difference(a, b), reference.ttest_rel(a, b)
    interval = expected.confidence_interval(0.95)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))
    assert found.mean == pytest.approx(0.16)


@pytest.mark.parametrize(("shift", "p"), [(0.0, 1.0), (0.25, 0.0)])
def test_a_constant_difference_needs_no_test(shift: float, p: float) -> None:
    b = np.array([0.25, 0.5, 0.75])
    found = paired_difference(b + shift, b)
    assert (found.mean, found.low, found.high, found.p) == (shift, shift, shift, p)


def test_an_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 1000, 60)) < np.array([0.7, 0.5])[:, None, None]
    covered = [found.low <= 0.2 <= found.high for found in map(paired_difference, a, b)]
    assert 0.93 < np.mean(covered) < 0.98


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(WinnowError, match="no scores"):
        mean_interval(np.array([]))
    with pytest.raises(WinnowError, match="3 and 2 samples"):
        paired_difference(np.ones(3), np.ones(2))


def test_holm_by_hand() -> None:
    assert holm([0.01, math.nan, 0.04, 0.03])[::2] == pytest.approx([0.03, 0.06])
    assert holm([]) == []


@given(PAIRS)
def test_single_questions_take_mcnemar_and_an_interval_that_holds_the_mean(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs).T
    found, plain = clustered_difference(a - b, [""] * len(a)), paired_difference(a, b)
    assert found.mean == pytest.approx(plain.mean)
    if len(a) > 1:
        assert found.p == pytest.approx(plain.p) and found.low <= found.mean + 1e-9 and found.mean <= found.high + 1e-9


def test_questions_about_one_video_count_together() -> None:
    rng = np.random.default_rng(1)
    luck = np.repeat(rng.integers(-1, 2, 100), 10)
    apart = clustered_difference(luck, [""] * 1000)
    together = clustered_difference(luck, [str(i // 10) for i in range(1000)])
    assert together.high - together.low == pytest.approx(math.sqrt(10) * (apart.high - apart.low), rel=0.15)
    assert together.p > apart.p
    # One video gained, one lost, both with all their questions: no sign of a difference.
    assert clustered_difference(np.array([1, 1, -1, -1]), ["a", "a", "b", "b"]).p == 1


def test_bootstrap_agrees_with_scipy() -> None:
    gaps = np.random.default_rng(0).integers(-1, 2, 400)
    found = clustered_difference(gaps, [""] * 400)
    theirs = reference.bootstrap(
        (gaps,), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.012)

"""Intervals and tests against other computations (scipy, statsmodels, loops), and properties that hold for all data."""

import math
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as reference
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint
from values import usual

from winnow.harness.score.layout import lay_out
from winnow.harness.score.stats import (
    Difference,
    Figure,
    Z,
    difference,
    figure,
    holm,
    median_interval,
    percent,
    sign_flip,
)
from winnow.reducers.core.errors import WinnowError

BITS = st.lists(st.integers(0, 1), min_size=1, max_size=80)
PAIRS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=80)
CLUSTERED = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from("abcdefgh")), min_size=1)


def test_a_figure_is_whole_and_stays() -> None:
    assert usual(Figure) == {} == usual(Difference)
    assert percent(Figure(1 / 3, 0.123456789, math.nan)) == {
        "mean": 33.3333, "low": 12.3457, "high": pytest.approx(math.nan, nan_ok=True)
    }  # fmt: skip


def test_wilson_by_hand() -> None:
    # 8 of 10: centre (0.8 + z²/20) / (1 + z²/10) = 0.71675, half width 0.22657 with z = 1.959964.
    found = figure([1] * 8 + [0] * 2)
    assert found.mean == 0.8
    assert (found.low, found.high) == pytest.approx((0.49016, 0.94331), abs=1e-4)


@given(BITS)
def test_wilson_equals_scipy_and_holds_the_mean(bits: list[int]) -> None:
    found = figure(bits)
    expected = reference.binomtest(sum(bits), len(bits)).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0 <= found.low <= found.mean + 1e-12 and found.mean - 1e-12 <= found.high <= 1


@given(CLUSTERED)
def test_wilson_of_clusters_equals_statsmodels_at_the_effective_number(rows: list[tuple[int, int, str]]) -> None:
    bits, layout = np.array([one for one, _, _ in rows]), lay_out([video for _, _, video in rows])
    samples = len(bits) / layout.design_effect(bits)
    found = figure(bits, layout)
    expected = proportion_confint(bits.mean() * samples, samples, method="wilson")
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)


def test_t_interval_by_hand() -> None:
    # mean 2.5, s = 1.29099, t(0.975, 3) = 3.18245: half width 2.05426.
    assert vars(figure([1.0, 2.0, 3.0, 4.0])) == pytest.approx({"mean": 2.5, "low": 0.44574, "high": 4.55426}, abs=1e-5)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=2, max_size=4))
def test_no_interval_of_few_scores_goes_beyond_what_can_be(pairs: list[tuple[float, float]]) -> None:
    ours, theirs = map(np.array, zip(*pairs, strict=True))
    for values, found, least in ((ours, figure(ours), 0), (ours - theirs, difference(ours, theirs), -1)):
        half = reference.sem(values) * reference.t.ppf(0.975, len(values) - 1)
        if not (np.isin(ours, (0, 1)).all() or np.isin(values, (-1, 0, 1)).all()):
            wanted = max(least, values.mean() - half), min(1, values.mean() + half)
            assert (found.low, found.high) == pytest.approx(wanted, abs=1e-9)
        assert least <= found.low <= found.mean + 1e-9 and found.mean - 1e-9 <= found.high <= 1


def test_a_sum_over_strata_may_be_more_than_one() -> None:
    found = figure([0.5, 1.5, 2.0, 1.0], lay_out([""] * 4, ["a", "a", "b", "b"], "sum"))
    assert found.mean == 2.5 and found.high > 2.5


@pytest.mark.parametrize("scores", [(-0.5, 0.5, 0.5, -0.5), (1.5, 0.5, 0.5, 1.5), (-0.25, 0.75, 0.75, -0.25)])
def test_scores_beyond_0_and_1_have_the_whole_interval(scores: tuple[float, ...]) -> None:
    # s = 0.57735: half of the width is 3.18245 * 0.57735 / 2 = 0.91869.
    for found in (figure(scores), difference(scores, [0.0] * 4)):
        middle = sum(scores) / 4
        assert (found.low, found.high) == pytest.approx((middle - 0.91869, middle + 0.91869), abs=1e-5)


def test_one_score_that_is_not_binary_has_no_interval() -> None:
    found = figure([0.4])
    assert found.mean == 0.4
    assert math.isnan(found.low) and math.isnan(found.high)


def test_mcnemar_by_hand() -> None:
    # 8 samples only a has right, 2 only b, 10 alike: p = 2 (1 + 10 + 45) / 2^10.
    found = difference([1] * 8 + [0] * 2 + [1] * 10, [0] * 8 + [1] * 2 + [1] * 10)
    assert found.mean == pytest.approx(0.3)
    assert found.p == pytest.approx(112 / 1024)
    # Bonett and Price: (9 - 3) / 22 ± 1.959964 sqrt((12/22 - (6/22)²) / 22) = 0.27273 ± 0.28680.
    assert (found.low, found.high) == pytest.approx((-0.01407, 0.55953), abs=1e-4)


@given(PAIRS)
def test_one_question_a_video_takes_mcnemars_exact_test(pairs: list[tuple[int, int]]) -> None:
    gaps = [a - b for a, b in pairs]
    gained, lost = gaps.count(1), gaps.count(-1)
    expected = reference.binomtest(gained, gained + lost).pvalue if gained + lost else 1
    assert difference(*zip(*pairs, strict=True)).p == pytest.approx(expected)


def test_alike_runs_differ_by_nothing_but_not_for_certain() -> None:
    for same in (difference([1] * 50, [1] * 50), difference([0] * 50, [0] * 50)):
        assert (same.mean, same.p) == (0.0, 1.0)
        assert same.low < 0 < same.high


@given(CLUSTERED)
def test_a_comparison_is_antisymmetric_and_blind_to_order(rows: list[tuple[int, int, str]]) -> None:
    a, b, names = zip(*rows, strict=True)
    forth, back = difference(a, b, lay_out(names)), difference(b, a, lay_out(names))
    assert (forth.mean, forth.low, forth.high) == pytest.approx((-back.mean, -back.high, -back.low))
    assert forth.p == pytest.approx(back.p)
    assert -1 <= forth.low <= forth.mean + 1e-9 and forth.mean - 1e-9 <= forth.high <= 1
    assert 0 < forth.p <= 1
    turned = [side[::-1] for side in (a, b, names)]
    assert vars(difference(turned[0], turned[1], lay_out(turned[2]))) == pytest.approx(vars(forth))


@given(CLUSTERED)
def test_a_shared_video_never_makes_it_surer(rows: list[tuple[int, int, str]]) -> None:
    a, b, names = zip(*rows, strict=True)
    for together, apart in (
        (figure(a, lay_out(names)), figure(a)),
        (difference(a, b, lay_out(names)), difference(a, b)),
    ):
        assert together.high - together.low >= apart.high - apart.low - 1e-9 or apart.low <= -1 or apart.high >= 1


def test_graded_scores_take_the_paired_t_interval_and_the_randomisation_test() -> None:
    a, b = np.array([0.5, 0.9, 0.4, 0.7, 0.8]), np.array([0.4, 0.7, 0.5, 0.3, 0.6])
    found, expected = difference(a, b), reference.ttest_rel(a, b).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx(0.16)
    gaps = (a - b).round(6)
    reached = [abs(np.dot(signs, gaps)) >= abs(gaps.sum()) - 1e-9 for signs in product((1, -1), repeat=5)]
    assert found.p == pytest.approx(np.mean(reached))


@pytest.mark.parametrize(("shift", "p"), [(0.0, 1.0), (0.25, 0.25)])
def test_a_constant_difference(shift: float, p: float) -> None:
    b = np.array([0.25, 0.5, 0.75])
    found = difference(b + shift, b)
    assert (found.mean, found.p) == (shift, p) and found.low <= shift <= found.high


def test_clusters_agree_with_statsmodels() -> None:
    rng = np.random.default_rng(3)
    videos = np.repeat(np.arange(40), rng.integers(1, 8, 40))
    gaps = rng.normal(size=len(videos)) + rng.normal(size=40)[videos]
    found = difference(gaps, np.zeros_like(gaps), lay_out([str(v) for v in videos]))
    theirs = sm.OLS(gaps, np.ones_like(gaps)).fit(cov_type="cluster", cov_kwds={"groups": videos}, use_t=True)
    assert (found.mean, found.low, found.high) == pytest.approx((theirs.params[0], *theirs.conf_int()[0]))


def test_strata_and_clusters_agree_with_statsmodels() -> None:
    rng = np.random.default_rng(5)
    strata, videos = np.arange(300) % 3, rng.integers(0, 60, 300)
    values = rng.random(300) * (1 + strata) + rng.random(60)[videos]
    layout = lay_out([str(v) for v in videos], [str(s) for s in strata])
    contrast = np.full(3, 1 / 3)
    dummies = np.eye(3)[strata]
    kinds = {"cluster": {"groups": videos, "use_correction": True}, "HC0": None}
    spread = {kind: sm.OLS(values, dummies).fit(cov_type=kind, cov_kwds=more) for kind, more in kinds.items()}
    robust, alone = (float(contrast @ spread[kind].cov_params() @ contrast) for kind in ("cluster", "HC0"))
    # statsmodels corrects clusters by (n - 1) / (n - k) for k strata, and HC0 by nothing.
    assert layout.design_effect(values) == pytest.approx(robust * 297 / 299 / (alone * 300 / 299))


@settings(max_examples=30)
@given(st.lists(st.floats(-2, 2).map(lambda total: round(total, 6)), min_size=1, max_size=9))
def test_sign_flip_equals_all_flips(totals: list[float]) -> None:
    found = sign_flip(np.array(totals))
    sums = [abs(np.dot(signs, totals)) for signs in product((1, -1), repeat=len(totals))]
    near = 2 * len(totals) * max(map(abs, totals)) / 1000
    at_least, at_most = (np.mean(np.array(sums) >= abs(sum(totals)) + slack) for slack in (near, -near))
    assert at_least - 1e-9 <= found <= at_most + 1e-9


def test_sign_flip_agrees_with_scipy_at_scale() -> None:
    totals = np.random.default_rng(0).normal(0.08, 1, 400)
    theirs = reference.permutation_test(
        (totals,), np.sum, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(1)
    )
    assert sign_flip(totals) == pytest.approx(theirs.pvalue, abs=0.01)
    # Three agreeing questions on each of 300 videos are 300 signs, not 900.
    rng = np.random.default_rng(2)
    signs = rng.choice([-1, 0, 1], 300, p=[0.1, 0.7, 0.2])
    one, three = sign_flip(signs), sign_flip(3 * signs)
    assert (
        one
        == pytest.approx(three)
        == pytest.approx(reference.binomtest((signs == 1).sum(), np.abs(signs).sum()).pvalue)
    )


def test_copies_of_each_question_change_nothing() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 2, (2, 300))
    names = [str(i) for i in range(300)]
    one, three = difference(a, b), difference(np.tile(a, 3), np.tile(b, 3), lay_out(names * 3))
    assert vars(three) == pytest.approx(vars(one), rel=2e-3)
    assert vars(figure(np.tile(a, 3), lay_out(names * 3))) == pytest.approx(vars(figure(a)), rel=2e-3)


def test_bootstrap_over_videos_agrees() -> None:
    rng = np.random.default_rng(4)
    sums = rng.normal(size=200)[:, None] > rng.normal(size=(200, 4))
    a, b = sums.astype(int), (rng.random((200, 4)) < 0.5).astype(int)
    found = difference(a, b, lay_out([str(v) for v in np.repeat(np.arange(200), 4)]))
    theirs = reference.bootstrap(((a - b).mean(1),), np.mean, method="percentile", rng=rng).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.01)


@pytest.mark.parametrize("together", [1, 4])
def test_an_interval_covers_the_truth_about_as_often_as_it_says(together: int) -> None:
    rng = np.random.default_rng(0)
    chances = np.array([0.7, 0.5])[:, None, None]
    a, b = np.repeat(rng.random((2, 600, 40)) < chances, together, axis=2).astype(int)
    layout = lay_out([str(v) for v in np.repeat(np.arange(40), together)])
    covered = [(f := difference(*pair, layout)).low <= 0.2 <= f.high for pair in zip(a, b, strict=True)]
    assert 0.92 < np.mean(covered) < 0.98
    held = [(f := figure(one, layout)).low <= 0.7 <= f.high for one in a]
    assert 0.92 < np.mean(held) < 0.985


def test_errors_name_what_is_wrong() -> None:
    with pytest.raises(WinnowError, match="no scores"):
        figure([])
    with pytest.raises(WinnowError, match="3 and 2 samples"):
        difference([1] * 3, [1] * 2)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_holm_equals_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 6, 19):  # theirs collects all garbage each time
        p_values = [*rng.uniform(0, 0.3, n).round(2)]
        assert holm(p_values) == pytest.approx([*multipletests(p_values, method="holm")[1]])


FIGURES = """
import sys
from pathlib import Path
from winnow.harness.common.run_files import read_scores
from winnow.harness.score.stats import difference, figure, holm, median_interval

[scores] = read_scores(Path(sys.argv[1])).values()
values = [one.score for one in scores.values()]
figure([0, 1]), figure(values), difference(values, values[::-1]), holm([0.1, 0.2]), median_interval(values)
print(sorted({"pandas", "scipy.stats", "statsmodels", "torch"} & set(sys.modules)), len(values))
"""


def test_figures_of_a_run_need_no_library_that_takes_a_second_to_import(tmp_path: Path) -> None:
    scores = [{"task": "t", "doc_id": n, "metric": "m", "score": n / 9, "stratum": "", "media": ""} for n in range(9)]
    pq.write_table(pa.Table.from_pylist(scores), tmp_path / "scores.parquet")
    command = [sys.executable, "-c", FIGURES, str(tmp_path)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[] 9\n"


@pytest.mark.parametrize(
    ("n", "low", "high", "level"),
    [(1, 1, 1, 0), (2, 1, 2, 0.5), (4, 1, 4, 0.875), (5, 1, 5, 0.9375), (6, 1, 6, 0.96875), (8, 1, 8, 1 - 2 / 256),
     (9, 2, 8, 1 - 20 / 512)],
)  # fmt: skip
def test_median_interval_of_few_values(n: int, low: float, high: float, level: float) -> None:
    """From the smallest to the largest, as sure as that can be; of nine values one on each side is not needed."""
    values = np.arange(n, 0, -1, dtype=float)
    assert median_interval(values) == ((n + 1) / 2, low, high, pytest.approx(level))
    with pytest.raises(WinnowError, match="no scores"):
        median_interval(np.array([]))


@pytest.mark.parametrize(("near", "p"), [(0.9995001, 1.0), (0.9994999, 6 / 8)])
def test_sizes_that_differ_by_less_than_half_a_thousandth_of_the_largest_are_one(near: float, p: float) -> None:
    """Of 1 - x + 1/4 no sum is smaller where x counts as 1; else 1 - x - 1/4 is, with either sign."""
    assert sign_flip(np.array([1, -near, 0.25])) == pytest.approx(p)


@pytest.mark.parametrize(("near", "least"), [(0.9993751, True), (0.9993749, False)])
def test_many_sizes_are_told_apart_by_two_hundred_thousandths_of_their_sum(near: float, least: bool) -> None:
    """Their sum is 62.5: steps of 0.00125, 800 to one and 799.5 to 0.999375; no sum is smaller where both are 800."""
    totals = np.array([*[1.0, -1.0] * 30, 1, -near, 1.5 - near])
    assert (sign_flip(totals) == pytest.approx(1)) == least


def test_median_interval_equals_scipy() -> None:
    values = np.random.default_rng(0).normal(size=31)
    expected = reference.quantile_test(values, p=0.5).confidence_interval()
    middle, low, high, level = median_interval(values)
    assert (low, high) == (expected.low, expected.high) and level >= 0.95 and low < middle < high
    assert pytest.approx(reference.norm.ppf(0.975)) == Z

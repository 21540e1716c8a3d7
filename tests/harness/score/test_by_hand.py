"""Small samples, unequal strata and clusters, each worked out by hand in the test."""

import math

import numpy as np
import pytest

from winnow.harness.score.layout import lay_out, side_by_side
from winnow.harness.score.stats import Z, difference, figure, sign_flip

T3 = 3.182446
"""Student's t at 97.5 %, 3 degrees of freedom."""


def test_figure_over_unequal_strata() -> None:
    # 3 of 4 and 1 of 2; Agresti and Coull add z²/2 right and z² in all: p~ and p~(1-p~)/n~ of each stratum.
    first, second = (3 + Z**2 / 2) / (4 + Z**2), (1 + Z**2 / 2) / (2 + Z**2)
    spread = first * (1 - first) / (4 + Z**2) + second * (1 - second) / (2 + Z**2)
    assert (first, second, spread) == pytest.approx((0.627528, 0.5, 0.072606), abs=1e-5)
    scores, strata = [1, 1, 0, 1, 0, 1], [*"aaaabb"]
    mean = figure(scores, lay_out([""] * 6, strata))
    assert (mean.mean, mean.high - mean.mean) == pytest.approx((0.625, Z / 2 * math.sqrt(spread)))
    total = figure(scores, lay_out([""] * 6, strata, "sum"))
    assert (total.mean, total.mean - total.low) == pytest.approx((1.25, Z * math.sqrt(spread)))


def test_figure_over_strata_of_points() -> None:
    # MME's pairs are worth 0 to 2: variances of the means 0.75 / 3 and 0.5 / 2; 5 pairs less 2 strata leave 3.
    found = figure([2.0, 0.5, 0.5, 2.0, 1.0], lay_out([""] * 5, [*"aaabb"], "sum"))
    assert found.mean == pytest.approx(2.5)
    assert found.high - found.mean == pytest.approx(T3 * math.sqrt(0.75 / 3 + 0.5 / 2), rel=1e-6)


def test_difference_over_unequal_strata() -> None:
    # Gaps 1, 0, 0, -1: (2 + 2) / 6 discordant, variance (4/6) / 6. Gaps 1, 0: 2/4 up, 1/4 down, (3/4 - 1/16) / 4.
    ours, theirs, strata = [1, 1, 0, 0, 1, 1], [0, 1, 0, 1, 0, 1], [*"aaaabb"]
    found = difference(ours, theirs, lay_out([""] * 6, strata))
    half = Z / 2 * math.sqrt(4 / 36 + 11 / 64)
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25 - half, 0.25 + half), abs=1e-6)
    # Questions count 1/4 in one stratum, 1/2 in the other: of ±1/4 ±1/4 ±1/2, six of eight sums reach 1/2.
    assert found.p == pytest.approx(6 / 8)
    summed = difference(ours, theirs, lay_out([""] * 6, strata, "sum"))
    assert (summed.mean, summed.high - summed.mean, summed.p) == pytest.approx((0.5, 2 * half, 6 / 8), abs=1e-6)


def test_unequal_clusters() -> None:
    # Videos with differences (1, 1), (-1), (1), (0, 0): the mean is over questions, 2 of 6.
    ours, theirs = [1, 1, 0, 1, 0, 0], [0, 0, 1, 0, 0, 0]
    layout = lay_out(["a", "a", "b", "c", "d", "d"])
    found = difference(ours, theirs, layout)
    # Residuals 2/3 2/3 | -4/3 | 2/3 | -1/3 -1/3, over 6: (16 + 16 + 4 + 4) / 9 by video, (4+4+16+4+1+1) / 9 alone.
    effect = (4 / 3 * 40) / (6 / 5 * 30)
    assert layout.design_effect(np.subtract(ours, theirs)) == pytest.approx(effect)
    n = 6 / effect
    up, down = (n / 2 + 1) / (n + 2), (n / 6 + 1) / (n + 2)
    half = Z * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    assert (found.mean, found.low, found.high) == pytest.approx((1 / 3, up - down - half, min(1, up - down + half)))
    # Totals 2, -1, 1: six of the eight sums ±2 ±1 ±1 reach 2.
    assert found.p == pytest.approx(6 / 8)


def test_clusters_with_unequal_strata() -> None:
    # Two strata of 2 and 1 questions: the mean over strata of (1 + 0) / 2 and -1; one video asks in both.
    found = difference([1, 0, 0], [0, 0, 1], lay_out(["a", "b", "b"], [*"xxy"]))
    # Totals 1/4 (a) and -1/2 (b): every sum of ±1/4 ±1/2 reaches 1/4.
    assert (found.mean, found.p) == pytest.approx((-0.25, 1.0))


def test_accuracy_of_questions_that_share_videos() -> None:
    # 2 videos of 2 questions, one all right, one all wrong: 4 answers are worth 4 / ((2 * 2) / (4/3 * 1)) = 4/3.
    found = figure([1, 1, 0, 0], lay_out(["a", "a", "b", "b"]))
    n = 4 / 3
    half = Z * math.sqrt(0.25 / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    assert (found.mean, found.low, found.high) == pytest.approx((0.5, 0.5 - half, 0.5 + half))


def test_what_cannot_be_estimated_counts_videos() -> None:
    # All right, or no difference, in 6 questions on 2 videos: as with 2 samples.
    shared = lay_out(["a", "a", "a", "b", "b", "b"])
    assert figure([1] * 6, shared) == figure([1] * 2)
    same, two = difference([1] * 6, [1] * 6, shared), difference([0] * 2, [0] * 2)
    assert (same.mean, same.p) == (0, 1)
    assert (same.low, same.high) == pytest.approx((two.low, two.high))
    # One video says nothing of another: as with 1 sample.
    one = difference([1, 1, 1, 0], [0, 0, 0, 0], lay_out(["a"] * 4))
    up, down = (0.75 + 1) / 3, 1 / 3
    assert one.p == 1 and one.low == pytest.approx(up - down - Z * math.sqrt((up + down - (up - down) ** 2) / 3))


def test_one_picture_in_two_tasks_is_one_cluster() -> None:
    # POPE's splits ask about the same pictures. Task 1: 1 and 0; task 2: 1, 0, 0. Totals 1/4 + 1/6 and 0.
    both = side_by_side([lay_out(["a", "b"]), lay_out(["a", "b", "b"])], ["a", "b", "a", "b", "b"])
    assert both.clusters == 2 and both.weights == pytest.approx([1 / 4, 1 / 4, 1 / 6, 1 / 6, 1 / 6])
    found = figure([1, 0, 1, 0, 0], both)
    assert found.mean == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert both.totals(both.weights * np.array([1, 0, 1, 0, 0])) == pytest.approx([5 / 12, 0])


def test_sign_flip_by_hand() -> None:
    # 3 of 3 videos gain: 2 of 8; sizes do not matter then. 1.5 + 0.25 - 0.5: ±1.25 or more in 6 of 8.
    assert sign_flip(np.array([1, 1, 1])) == sign_flip(np.array([3, 0.1, 7])) == pytest.approx(0.25)
    assert sign_flip(np.array([1.5, 0.25, -0.5])) == pytest.approx(6 / 8)
    assert sign_flip(np.zeros(4)) == sign_flip(np.array([5.0])) == 1
    assert sign_flip(np.full(9, 0.1 + 0.2 - 0.3)) == 1  # what rounding leaves is no difference


def test_a_mean_of_means() -> None:
    # Easy 1/2 and hard 0 make 1/4; with the routes' 1 that is 5/8. Weights: 1/2 · 1/2 · 1/2 twice, 1/2 · 1/2, 1/2.
    layout = lay_out([""] * 4, ["way > easy", "way > easy", "way > hard", "route"])
    assert layout.weights == pytest.approx([1 / 8, 1 / 8, 1 / 4, 1 / 2])
    assert figure([1, 0, 0, 1], layout).mean == pytest.approx(5 / 8)

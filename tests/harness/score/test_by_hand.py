"""Small samples, unequal strata and clusters, each worked out by hand in the test."""

import math

import numpy as np
import pytest

from winnow.harness.score.stats import Z, clustered_difference
from winnow.harness.score.stratified import difference, figure


def test_figure_over_unequal_strata() -> None:
    # 3 of 4 and 1 of 2; Agresti and Coull add z²/2 right and z² in all: p~ and p~(1-p~)/n~ of each stratum.
    first, second = (3 + Z**2 / 2) / (4 + Z**2), (1 + Z**2 / 2) / (2 + Z**2)
    spread = first * (1 - first) / (4 + Z**2) + second * (1 - second) / (2 + Z**2)
    assert (first, second, spread) == pytest.approx((0.627528, 0.5, 0.072606), abs=1e-5)
    strata = {"a": [1, 1, 0, 1], "b": [0, 1]}
    mean = figure(strata)
    assert (mean.mean, mean.high - mean.mean) == pytest.approx((0.625, Z / 2 * math.sqrt(spread)))
    total = figure(strata, "sum")
    assert (total.mean, total.mean - total.low) == pytest.approx((1.25, Z * math.sqrt(spread)))


def test_figure_over_strata_of_points() -> None:
    # MME's pairs are worth 0 to 2: variances of the means (2/3) / 3 and (1/2) / 2, the sum has 17/36.
    found = figure({"a": [2.0, 0.5, 0.5], "b": [2.0, 1.0]}, "sum")
    assert found.mean == pytest.approx(2.5)
    assert found.high - found.mean == pytest.approx(1.96 * math.sqrt(0.75 / 3 + 0.5 / 2), rel=1e-3)


def test_difference_over_unequal_strata() -> None:
    # Gaps 1, 0, 0, -1: (2 + 2) / 6 discordant, variance (4/6) / 6. Gaps 1, 0: 2/4 up, 1/4 down, (3/4 - 1/16) / 4.
    ours = {"a": [1, 1, 0, 0], "b": [1, 1]}
    theirs = {"a": [0, 1, 0, 1], "b": [0, 1]}
    found = difference(ours, theirs)
    half = 1.959964 / 2 * math.sqrt(4 / 36 + 11 / 64)
    assert (found.mean, found.low, found.high) == pytest.approx((0.25, 0.25 - half, 0.25 + half), abs=1e-6)
    summed = difference(ours, theirs, "sum")
    assert (summed.mean, summed.high - summed.mean) == pytest.approx((0.5, 2 * half), abs=1e-6)


def test_mean_of_unequal_clusters() -> None:
    # Videos with differences (1, 1), (-1), (1), (0, 0): the mean is over questions, 2 of 6.
    gaps, videos = np.array([1, 1, -1, 1, 0, 0]), ["a", "a", "b", "c", "d", "d"]
    found = clustered_difference(gaps, videos)
    assert found.mean == pytest.approx(2 / 6)
    assert found.low <= 0 < found.mean < found.high


def test_clusters_with_weights() -> None:
    # Two strata of 2 and 1 questions: the mean over strata of (1 + 0) / 2 and -1.
    found = clustered_difference(np.array([1, 0, -1]), ["a", "b", "b"], np.array([0.5, 0.5, 1]))
    assert found.mean == pytest.approx(-0.25)

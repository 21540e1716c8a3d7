"""Intervals and tests for accuracies: one run against the truth, two runs against each other on the same samples."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from winnow.reducers.core.errors import WinnowError

LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True)
class Difference:
    """The mean of `a - b` over paired samples, its 95 % interval, and the p value of "there is no difference"."""

    mean: float
    low: float
    high: float
    p: float


def mean_interval(scores: np.ndarray) -> tuple[float, float, float]:
    """Mean of the scores with its 95 % interval.

    Wilson's interval where every score is 0 or 1 (Wilson 1927), else Student's t. A single score that is neither
    has no interval: its bounds are nan.

    Parameters
    ----------
    scores : np.ndarray, shape (samples,)
        One score per sample, failed samples included.

    Raises
    ------
    WinnowError
        When there is no score.
    """
    scores = _vector(scores)
    mean, n = float(scores.mean()), len(scores)
    if _is_binary(scores):
        centre, shrink = (mean + Z**2 / (2 * n)), 1 + Z**2 / n
        half = Z * math.sqrt(mean * (1 - mean) / n + Z**2 / (4 * n**2))
        return mean, max(0.0, (centre - half) / shrink), min(1.0, (centre + half) / shrink)
    half = _t_half_width(scores)
    return mean, mean - half, mean + half


def paired_difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """Mean difference `a - b` of two runs on the same samples.

    Where every score is 0 or 1: adjusted Wald interval for paired proportions (Bonett and Price 2012, which does not
    collapse to a point when no sample differs) and McNemar's exact test. Else: paired t interval and test.

    Parameters
    ----------
    a, b : np.ndarray, shape (samples,)
        Scores of the two runs; entry i of both is the same sample.

    Raises
    ------
    WinnowError
        When the runs have different numbers of samples, or none.
    """
    a, b = _vector(a), _vector(b)
    if len(a) != len(b):
        raise WinnowError(
            f"the runs have {len(a)} and {len(b)} samples: a paired difference needs the same samples in the same order"
        )
    if _is_binary(a) and _is_binary(b):
        return _binary_difference(int(((a == 1) & (b == 0)).sum()), int(((a == 0) & (b == 1)).sum()), len(a))
    delta = a - b
    mean, half = float(delta.mean()), _t_half_width(delta)
    return Difference(mean, mean - half, mean + half, _t_test(delta))


def median_interval(values: np.ndarray) -> tuple[float, float, float, float]:
    """Median with an interval between two order statistics, which assumes nothing but independence.

    Parameters
    ----------
    values : np.ndarray, shape (n,)

    Returns
    -------
    tuple of float
        Median, low, high and the level: the narrowest interval of at least 95 %, or from the smallest to the largest
        value with the level that it has (87.5 % for 4 values, 93.75 % for 5).

    Raises
    ------
    WinnowError
        When there is no value.
    """
    values = np.sort(_vector(values))
    n = len(values)
    levels = [1 - 2 * sum(math.comb(n, i) for i in range(cut + 1)) / 2**n for cut in range((n + 1) // 2)]
    cut = max((cut for cut, level in enumerate(levels) if level >= LEVEL), default=0)
    return float(np.median(values)), float(values[cut]), float(values[n - 1 - cut]), max(0.0, levels[cut])


def _binary_difference(gained: int, lost: int, n: int) -> Difference:
    """Compare paired proportions, given how many samples only the first and only the second run answered right."""
    from scipy.stats import binomtest

    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = Z * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    p = float(binomtest(gained, gained + lost).pvalue) if gained + lost else 1.0
    return Difference((gained - lost) / n, max(-1.0, up - down - half), min(1.0, up - down + half), p)


def _t_half_width(values: np.ndarray) -> float:
    if len(values) < 2:
        return math.nan
    from scipy.stats import t

    return float(t.ppf((1 + LEVEL) / 2, len(values) - 1) * values.std(ddof=1) / math.sqrt(len(values)))


def _t_test(values: np.ndarray) -> float:
    """Two-sided p value of a zero mean; values that are all equal decide it without a test."""
    if len(values) < 2:
        return math.nan
    if np.ptp(values) == 0:
        return float(values[0] == 0)
    from scipy.stats import ttest_1samp

    return float(ttest_1samp(values, 0.0).pvalue)


def _vector(scores: np.ndarray) -> np.ndarray:
    scores = np.asarray(scores, dtype=np.float64).ravel()
    if scores.size == 0:
        raise WinnowError("there are no scores: the task has no documents or the run has not answered any")
    return scores


def _is_binary(scores: np.ndarray) -> bool:
    return bool(np.isin(scores, (0.0, 1.0)).all())


RESAMPLES = 2000
SEED = 20240131


def clustered_difference(gaps: np.ndarray, clusters: Sequence[str], weights: np.ndarray | None = None) -> Difference:
    """Mean of paired differences where questions about one video share their luck.

    Interval: percentile bootstrap over clusters (a fixed seed). p value: McNemar's test in its form for clusters, the
    squared sum of differences over the sum of the clusters' squared sums (Durkalski et al. 2003); the exact one where
    every cluster is one question and every difference -1, 0 or 1. Where no question differs, the interval is that of
    Bonett and Price, as a bootstrap would collapse to a point.

    Parameters
    ----------
    gaps : np.ndarray, shape (samples,)
        Score of the first run minus that of the second.
    clusters : sequence of str
        Which video each question is about; an empty name is a video of its own.
    weights : np.ndarray, shape (samples,), or None
        What each question counts, for means over groups of different sizes.
    """
    gaps = _vector(gaps)
    weights = np.ones_like(gaps) if weights is None else _vector(weights)
    names = [name or f"\0{i}" for i, name in enumerate(clusters)]
    _, place = np.unique(names, return_inverse=True)
    sums, sizes = np.bincount(place, gaps * weights), np.bincount(place, weights)
    mean = float(sums.sum() / sizes.sum())
    ternary = bool(np.isin(gaps, (-1.0, 0.0, 1.0)).all())
    if not gaps.any():
        return _binary_difference(0, 0, len(sums)) if ternary else Difference(0.0, 0.0, 0.0, 1.0)
    if len(sums) < 2:
        return Difference(mean, math.nan, math.nan, math.nan)
    low, high = _bootstrap(sums, sizes)
    if ternary and len(sums) == len(gaps) and np.ptp(weights) == 0:
        p = _binary_difference(int((gaps == 1).sum()), int((gaps == -1).sum()), len(gaps)).p
    else:
        p = _cluster_test(sums)
    return Difference(mean, low, high, p)


def _bootstrap(sums: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Percentile interval of ``sum(sums) / sum(sizes)`` over resampled clusters, in blocks that fit into memory."""
    draw, ratios = np.random.default_rng(SEED), []
    block = max(1, 4_000_000 // len(sums))
    for start in range(0, RESAMPLES, block):
        chosen = draw.integers(len(sums), size=(min(block, RESAMPLES - start), len(sums)))
        ratios.append(sums[chosen].sum(1) / sizes[chosen].sum(1))
    low, high = np.quantile(np.concatenate(ratios), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low), float(high)


def _cluster_test(sums: np.ndarray) -> float:
    from scipy.stats import chi2

    spread = float((sums**2).sum())
    return float(chi2.sf(float(sums.sum()) ** 2 / spread, 1)) if spread else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for having looked at all of them (Holm 1979); nan stays nan and does not count."""
    from statsmodels.stats.multitest import multipletests

    known = [i for i, p in enumerate(p_values) if not math.isnan(p)]
    adjusted = list(map(float, p_values))
    if known:
        for i, p in zip(known, multipletests([p_values[i] for i in known], method="holm")[1], strict=True):
            adjusted[i] = float(p)
    return adjusted

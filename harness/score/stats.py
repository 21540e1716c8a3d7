"""The one way in which figures get their interval and runs are compared; `docs/tables.md` says it in words.

Every interval is the usual one for independent samples, widened by the design effect of the clusters
(`Layout.design_effect`); where every video has one question it is the usual one. The formulas stand here, and scipy's
distributions are taken without `scipy.stats`, which would take a second of every command that shows a figure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from winnow.harness.run.result import FigureResult
from winnow.harness.score.layout import Layout, lay_out
from winnow.reducers.core.errors import WinnowError

LEVEL = 0.95
Z = NormalDist().inv_cdf((1 + LEVEL) / 2)


@dataclass(frozen=True)
class Figure:
    """An estimate and its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference(Figure):
    """The figure of a first run minus that of a second one, and the p value of "there is no difference"."""

    p: float


def figure(values: Sequence[float] | np.ndarray, layout: Layout | None = None) -> Figure:
    """Estimate a figure with its 95 % interval.

    Scores of 0 and 1: Wilson's interval (1927) at the effective number of samples. Strata: normal interval with the
    variances of the strata, proportions shrunk as Agresti and Coull do (1998), so that there is a variance even if all
    are right. Other scores: Student's t with as many degrees of freedom as there are clusters, less one per stratum;
    without any its bounds are nan. No interval goes beyond what the figure can be: the mean of scores of 0 to 1 is so.

    Parameters
    ----------
    values : sequence of float, shape (samples,)
        One score per sample, failed samples included.
    layout : Layout or None
        None: independent samples of one stratum.

    Raises
    ------
    WinnowError
        When there is no score.
    """
    scores = _vector(values)
    layout = layout or lay_out([""] * len(scores))
    if not (layout.plain and _is_among(scores, (0, 1))):
        return _possible(_normal(scores, layout, _shrunk_variance), [scores], layout, 0.0)
    return _wilson(float(scores.mean()), len(scores) / layout.design_effect(scores))


def difference(
    first: Sequence[float] | np.ndarray, second: Sequence[float] | np.ndarray, layout: Layout | None = None
) -> Difference:
    """Compare two runs on the same samples.

    Interval: for scores of 0 and 1 that of Bonett and Price (2012) for paired proportions, which does not collapse to a
    point when no sample differs, at the effective number of samples; over strata and for other scores as `figure`.
    p value: see `sign_flip`.

    Parameters
    ----------
    first, second : sequence of float, shape (samples,)
        Scores of the two runs; entry i of both is the same sample.
    layout : Layout or None
        None: independent samples of one stratum.

    Raises
    ------
    WinnowError
        When the runs have different numbers of samples, or none.
    """
    a, b = _vector(first), _vector(second)
    if len(a) != len(b):
        raise WinnowError(
            f"the runs have {len(a)} and {len(b)} samples: a paired difference needs the same samples in the same order"
        )
    gaps, layout = a - b, layout or lay_out([""] * len(a))
    if layout.plain and _is_among(gaps, (-1, 0, 1)):
        found = _bonett_price(gaps, len(gaps) / layout.design_effect(gaps))
    else:
        found = _possible(_normal(gaps, layout, _paired_variance), [a, b], layout, -1.0)
    weights = layout.weights
    return Difference(found.mean, found.low, found.high, sign_flip(layout.totals(gaps * (weights / weights.max()))))


def percent(found: Figure) -> FigureResult:
    """A figure on the scale 0 to 100, as results hold it."""
    mean, low, high = (round(100 * value, 4) for value in (found.mean, found.low, found.high))
    return {"mean": mean, "low": low, "high": high}


FINEST, LONGEST, ROUNDING = 1000, 50_000, 1e-9


def sign_flip(totals: np.ndarray) -> float:
    """Two-sided p value of "either run could have been the other", for whole clusters.

    Exact distribution of the absolute sum when each cluster's total difference keeps or changes its sign with equal
    chance (Fisher's paired randomisation test). McNemar's exact test where totals are -1, 0 or 1. Nothing is drawn at
    random: totals that are no whole numbers are rounded to a thousandth of the largest, or to 2e-5 of their sum.

    Parameters
    ----------
    totals : np.ndarray, shape (clusters,)
    """
    sizes = np.abs(totals)
    whole = bool((np.abs(totals - np.rint(totals)) < ROUNDING).all()) and sizes.sum() <= LONGEST
    step = 1.0 if whole else max(sizes.max() / FINEST, sizes.sum() / LONGEST)
    steps = np.rint(totals / step).astype(int)
    chances = np.ones(1)  # of the sums -n, -n + 2, ..., n, where n is the sum of the sizes so far
    for size in np.sort(np.abs(steps[steps != 0])):
        gap = np.zeros(size)
        chances = (np.concatenate([chances, gap]) + np.concatenate([gap, chances])) / 2
    sums = np.arange(-len(chances) + 1, len(chances), 2)
    return min(1.0, float(chances[np.abs(sums) >= abs(steps.sum())].sum()))


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
    from scipy.special import bdtr

    values = np.sort(_vector(values))
    n = len(values)
    levels = 1 - 2 * bdtr(np.arange((n + 1) // 2), n, 0.5)
    cut = int(np.flatnonzero(levels >= LEVEL).max(initial=0))
    return float(np.median(values)), float(values[cut]), float(values[n - 1 - cut]), float(levels[cut])


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for having looked at all of them (Holm 1979)."""
    order = np.argsort(p_values)
    raised = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(raised), 1)
    return [float(p) for p in adjusted]


def _normal(values: np.ndarray, layout: Layout, variance: Callable[[np.ndarray], float | None]) -> Figure:
    """Interval over strata; `variance` of a stratum's mean, None where that of the sample has to do."""
    strata = [values[layout.stratum == place] for place in range(len(layout.shares))]
    known = [variance(part) for part in strata]
    spread = [_sample_variance(part) if own is None else own for part, own in zip(strata, known, strict=True)]
    quantile = Z if None not in known else _student(layout.clusters - len(strata))
    mean = float(layout.shares @ layout.means(values))
    half = quantile * math.sqrt(layout.design_effect(values) * float(layout.shares**2 @ spread))
    return Figure(mean, mean - half, mean + half)


def _possible(found: Figure, scores: Sequence[np.ndarray], layout: Layout, least: float) -> Figure:
    """Cut an interval at `least` and 1, where the scores are of 0 to 1 and the figure is a mean."""
    mean = math.isclose(float(layout.shares.sum()), 1)
    if not mean or any(values.min() < 0 or values.max() > 1 for values in scores):
        return found
    return Figure(found.mean, max(found.low, least), min(found.high, 1.0))  # in this order nan stays nan


def _wilson(mean: float, samples: float) -> Figure:
    spread = Z**2 / samples
    centre = (mean + spread / 2) / (1 + spread)
    half = math.sqrt(mean * (1 - mean) * spread + spread**2 / 4) / (1 + spread)
    return Figure(mean, max(0.0, centre - half), min(1.0, centre + half))


def _bonett_price(gaps: np.ndarray, samples: float) -> Figure:
    up, down = (((gaps == side).mean() * samples + 1) / (samples + 2) for side in (1, -1))
    half = Z * math.sqrt((up + down - (up - down) ** 2) / (samples + 2))
    return Figure(float(gaps.mean()), max(-1.0, float(up - down - half)), min(1.0, float(up - down + half)))


def _shrunk_variance(values: np.ndarray) -> float | None:
    if not _is_among(values, (0, 1)):
        return None
    n = len(values) + Z**2
    share = (values.sum() + Z**2 / 2) / n
    return float(share * (1 - share) / n)


def _paired_variance(gaps: np.ndarray) -> float | None:
    if not _is_among(gaps, (-1, 0, 1)):
        return None
    n = len(gaps) + 2
    up, down = ((gaps == 1).sum() + 1) / n, ((gaps == -1).sum() + 1) / n
    return float((up + down - (up - down) ** 2) / n)


def _sample_variance(values: np.ndarray) -> float:
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else math.nan


def _student(freedom: int) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(freedom, (1 + LEVEL) / 2)) if freedom > 0 else math.nan


def _vector(values: Sequence[float] | np.ndarray) -> np.ndarray:
    found = np.asarray(values, dtype=np.float64).ravel()
    if found.size == 0:
        raise WinnowError("there are no scores: the task has no documents or the run has not answered any")
    return found


def _is_among(values: np.ndarray, allowed: Sequence[float]) -> bool:
    return bool(np.isin(values, allowed).all())

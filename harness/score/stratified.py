"""Figures that are a mean or a sum over strata, such as MLVU's task types and MME's categories."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from winnow.harness.score.stats import Difference, Z, mean_interval, paired_difference

Combine = Literal["mean", "sum"]


@dataclass(frozen=True)
class Figure:
    """An estimate and its 95 % interval."""

    mean: float
    low: float
    high: float


def figure(strata: Mapping[str, Sequence[float]], combine: Combine = "mean") -> Figure:
    """Combine the means of strata.

    One stratum: as `stats.mean_interval`. Several: normal interval with the variances of the strata; a stratum's
    proportion is shrunk as Agresti and Coull do (1998), so that it has a variance even if all are right.

    Parameters
    ----------
    strata : mapping
        Values of each stratum.
    combine : {"mean", "sum"}
    """
    values = [np.asarray(found, dtype=np.float64) for found in strata.values()]
    if len(values) == 1 and combine == "mean":
        return Figure(*mean_interval(values[0]))
    spread = [_variance(found) for found in values]
    return Figure(*_interval([float(found.mean()) for found in values], spread, combine))


def difference(
    ours: Mapping[str, Sequence[float]], theirs: Mapping[str, Sequence[float]], combine: Combine = "mean"
) -> Difference:
    """Compare two runs, sample by sample within strata; entry i of a stratum is the same sample in both."""
    if len(ours) == 1 and combine == "mean":
        (a,), (b,) = ours.values(), theirs.values()
        return paired_difference(np.asarray(a), np.asarray(b))
    gaps = [np.asarray(ours[name], dtype=np.float64) - np.asarray(theirs[name]) for name in ours]
    mean, low, high = _interval([float(gap.mean()) for gap in gaps], [_gap_variance(gap) for gap in gaps], combine)
    half = (high - low) / 2
    p = math.erfc(abs(mean) / half * Z / math.sqrt(2)) if half else float(mean == 0)
    return Difference(mean, low, high, p)


def _interval(means: Sequence[float], variances: Sequence[float], combine: Combine) -> tuple[float, float, float]:
    share = 1 / len(means) if combine == "mean" else 1.0
    mean, half = share * sum(means), Z * share * math.sqrt(sum(variances))
    return mean, mean - half, mean + half


def _variance(values: np.ndarray) -> float:
    """Of the mean of one stratum."""
    n = len(values)
    if np.isin(values, (0.0, 1.0)).all():
        shrunk = (values.sum() + Z**2 / 2) / (n + Z**2)
        return float(shrunk * (1 - shrunk) / (n + Z**2))
    return float(values.var(ddof=1) / n) if n > 1 else math.nan


def _gap_variance(gaps: np.ndarray) -> float:
    """Of the mean difference of one stratum; Bonett and Price's (2012) where every difference is -1, 0 or 1."""
    n = len(gaps)
    if np.isin(gaps, (-1.0, 0.0, 1.0)).all():
        up, down = ((gaps == 1).sum() + 1) / (n + 2), ((gaps == -1).sum() + 1) / (n + 2)
        return float((up + down - (up - down) ** 2) / (n + 2))
    return float(gaps.var(ddof=1) / n) if n > 1 else math.nan

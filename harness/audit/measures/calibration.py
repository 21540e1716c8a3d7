"""Whether a model knows when it is right."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

BINS = 10
DRAWS = 400
Numbers = NDArray[np.float64]


def ece(confidence: Numbers, right: Numbers, bins: int = BINS) -> float:
    """Expected calibration error: mean gap of confidence and accuracy over bins of equal width (Guo et al. 2017).

    Parameters
    ----------
    confidence, right : ndarray, shape (samples,)
        Probability of the answer, and whether it is right.
    bins : int
        Each holds its upper end.
    """
    place = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    gaps = np.bincount(place, confidence - right, bins)
    return float(np.abs(gaps).sum() / len(right))


def brier(options: Sequence[Sequence[float]], truth: Sequence[int]) -> Numbers:
    """Brier score of each sample (1950): squared distance of the options' probabilities from the truth, 0 to 2.

    Parameters
    ----------
    options : sequence of sequence of float
        Probabilities of each sample's options.
    truth : sequence of int
        Which of them is right.
    """
    return np.array(
        [
            sum((p - (place == right)) ** 2 for place, p in enumerate(found))
            for found, right in zip(options, truth, strict=True)
        ]
    )


def aurc(confidence: Numbers, right: Numbers) -> float:
    """Area under the risk-coverage curve: mean error among the surest k samples, over all k (Geifman et al. 2018).

    Samples of equal confidence stand in no order: each has the error of their mean.
    """
    order = np.argsort(-confidence, kind="stable")
    _, group = np.unique(-confidence[order], return_inverse=True)
    errors = 1 - right[order]
    mean = np.bincount(group, errors) / np.bincount(group)
    risks = np.cumsum(mean[group]) / np.arange(1, len(right) + 1)
    return float(risks.mean())


def drawn(
    statistic: Callable[[NDArray[np.int64]], float], clusters: NDArray[np.int64], draws: int = DRAWS
) -> tuple[float, float]:
    """The 95 % interval of a statistic over samples by drawing whole clusters again; the same draws every time.

    Parameters
    ----------
    statistic : callable
        From places of samples, some several times, to a number.
    clusters : ndarray of int, shape (samples,)
        The video or picture of each sample, counted from 0.
    draws : int
    """
    rng = np.random.default_rng(0)
    order = np.argsort(clusters, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(clusters[order])) + 1)
    found = [
        statistic(np.concatenate([members[place] for place in rng.integers(0, len(members), len(members))]))
        for _ in range(draws)
    ]
    low, high = np.percentile(found, [2.5, 97.5])
    return float(low), float(high)

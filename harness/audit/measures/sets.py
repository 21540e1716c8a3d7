"""Sets of kept tokens against each other."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def jaccard(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> float:
    """Tokens in both sets over tokens in either; 1 for two empty ones."""
    either = int((first | second).sum())
    return float((first & second).sum() / either) if either else 1.0


@lru_cache(maxsize=1024)
def by_chance(tokens: int, first: int, second: int) -> float:
    """Expected Jaccard index of two independent random sets of these sizes: the overlap is hypergeometric."""
    if not first or not second:
        return float(first == second)
    overlap = np.arange(max(0, first + second - tokens), min(first, second) + 1)
    at, neither = overlap[:-1], tokens - first - second
    more = np.log((first - at) * (second - at) / ((at + 1) * (neither + at + 1)))  # each chance over the one before it
    logs = np.append(0.0, more).cumsum()
    chances = np.exp(logs - logs.max())
    return float((chances * overlap / (first + second - overlap)).sum() / chances.sum())

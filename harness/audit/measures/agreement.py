"""Agreement of two runs' answers beyond chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


def kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Cohen's kappa (1960); None where both always say the same one thing, as chance then explains everything."""
    if len({*first, *second}) < 2:
        return None
    n, ours, theirs = len(first), Counter(first), Counter(second)
    seen = sum(a == b for a, b in zip(first, second, strict=True)) / n
    chance = sum(times * theirs[said] for said, times in ours.items()) / n**2
    return (seen - chance) / (1 - chance)

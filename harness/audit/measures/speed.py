"""What speed a part of the work can win at most."""

from __future__ import annotations


def amdahl(whole: float, part: float, left: float = 0.0) -> float:
    """Speed-up if a part of the work shrinks to a share `left` of itself (Amdahl 1967); infinite if nothing is left.

    Parameters
    ----------
    whole, part : float
        Seconds of all, and of what is reduced.
    left : float
        Share of that part which stays; 0: the best possible.
    """
    rest = whole - part * (1 - left)
    return whole / rest if rest > 0 else float("inf")

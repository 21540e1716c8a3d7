"""How small a difference this many samples can tell, and how many samples a difference takes."""

from __future__ import annotations

import math
from statistics import NormalDist

POWER, LEVEL = 0.8, 0.05


def spread(up: float, down: float) -> float:
    """Standard deviation of a paired difference of right and wrong.

    Parameters
    ----------
    up, down : float
        Shares of the samples that the first run alone, and the second alone, has right.
    """
    return math.sqrt(max(0.0, up + down - (up - down) ** 2))


def detectable(deviation: float, samples: float, power: float = POWER, level: float = LEVEL) -> float:
    """The smallest true difference that a two-sided test of this level finds with this power.

    Parameters
    ----------
    deviation : float
        Standard deviation of one sample's difference.
    samples : float
        Independent samples, so the effective number where videos have several questions.
    """
    return _quantiles(power, level) * deviation / math.sqrt(samples)


def needed(deviation: float, difference: float, power: float = POWER, level: float = LEVEL) -> int:
    """Independent samples that a difference takes to be found; arguments as of `detectable`."""
    return math.ceil((_quantiles(power, level) * deviation / difference) ** 2)


def _quantiles(power: float, level: float) -> float:
    return NormalDist().inv_cdf(1 - level / 2) + NormalDist().inv_cdf(power)

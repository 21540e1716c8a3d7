"""The share of an accuracy that is lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from winnow.harness.score.layout import Layout
from winnow.harness.score.stats import Figure, figure


def decline(ours: Sequence[float], theirs: Sequence[float], layout: Layout) -> Figure:
    """One minus the ratio of two paired figures, with the interval of the linearised ratio (the delta method).

    Parameters
    ----------
    ours, theirs : sequence of float
        Scores of the method and of the unreduced run, which has some right; entry i of both is the same sample.
    layout : Layout
    """
    a, b = np.asarray(ours, float), np.asarray(theirs, float)
    top, bottom = (float(layout.shares @ layout.means(values)) for values in (a, b))
    ratio = top / bottom
    spread = figure((a - ratio * b) / bottom, layout)  # of mean 0; where all of it is 0, bounded below
    half = spread.high - spread.mean
    return Figure(1 - ratio, 1 - ratio - half, 1 - ratio + half)

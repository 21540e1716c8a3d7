"""How samples belong together: questions about one video or picture are a cluster, and a figure may go over strata."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Combine = Literal["mean", "sum"]
NESTED = " > "
"""Between the name of an outer stratum and that of one within it."""
NOTHING = 1e-18
"""A variance that only rounding makes."""


@dataclass(frozen=True)
class Layout:
    """Entry i of `cluster` and `stratum` is sample i.

    Attributes
    ----------
    cluster, stratum : np.ndarray of int, shape (samples,)
        The video or picture that a sample asks about, and the stratum that it counts for.
    shares : np.ndarray, shape (strata,)
        What the mean of each stratum counts in the figure.
    """

    cluster: np.ndarray
    stratum: np.ndarray
    shares: np.ndarray

    @property
    def clusters(self) -> int:
        """How many videos or pictures there are."""
        return int(self.cluster.max(initial=-1)) + 1

    @property
    def plain(self) -> bool:
        """Whether the figure is the mean over all samples."""
        return len(self.shares) == 1 and bool(self.shares[0] == 1)

    @property
    def weights(self) -> np.ndarray:
        """What each sample counts in the figure, shape (samples,)."""
        return (self.shares / np.bincount(self.stratum))[self.stratum]

    def means(self, values: np.ndarray) -> np.ndarray:
        """Mean of each stratum, shape (strata,)."""
        return np.bincount(self.stratum, values) / np.bincount(self.stratum)

    def totals(self, values: np.ndarray) -> np.ndarray:
        """Sum over each cluster, shape (clusters,)."""
        return np.bincount(self.cluster, values)

    def design_effect(self, values: np.ndarray) -> float:
        """How many times larger the figure's variance is than that of as many independent samples (Kish 1965).

        The cluster-robust variance of the linearised figure over the one that takes every sample for a cluster. At
        least 1, as few clusters make it too small by chance; where it cannot be estimated (one cluster, or no spread),
        a cluster counts as one sample.
        """
        n, clusters = len(values), self.clusters
        parts = self.weights * (values - self.means(values)[self.stratum])
        alone = float(n / max(1, n - 1) * (parts**2).sum())
        if clusters < 2 or alone < NOTHING:
            return n / clusters
        together = float(clusters / (clusters - 1) * (self.totals(parts) ** 2).sum())
        return min(float(n), max(1.0, together / alone))


def lay_out(clusters: Sequence[str], strata: Sequence[str] = (), combine: Combine = "mean") -> Layout:
    """Lay out the samples of one task.

    Parameters
    ----------
    clusters : sequence of str
        Which video or picture each sample asks about; an empty name is one of its own.
    strata : sequence of str
        The stratum of each; empty: there is only one. The mean goes first over those within an outer one, ``a > b``.
    combine : {"mean", "sum"}
        Whether the figure is the mean or the sum of the strata's means.
    """
    names = [name or f"\0{place}" for place, name in enumerate(clusters)]
    cluster = np.unique(names, return_inverse=True)[1]
    found, stratum = np.unique(strata or [""] * len(names), return_inverse=True)
    return Layout(cluster, stratum, _shares(list(found)) if combine == "mean" else np.ones(len(found)))


def _shares(strata: Sequence[str]) -> np.ndarray:
    """What each stratum counts in their mean; those of one outer stratum share what that counts."""
    outer = Counter(name.partition(NESTED)[0] for name in strata)
    return np.array([1 / len(outer) / outer[name.partition(NESTED)[0]] for name in strata])


def side_by_side(layouts: Sequence[Layout], names: Sequence[str]) -> Layout:
    """Lay out the mean of several tasks' figures; the same video or picture in two tasks is one cluster.

    Parameters
    ----------
    layouts : sequence of Layout
        One per task.
    names : sequence of str
        Which video or picture each sample of all tasks asks about.
    """
    strata = np.cumsum([0, *(len(layout.shares) for layout in layouts)])
    stratum = [layout.stratum + start for layout, start in zip(layouts, strata, strict=False)]
    shares = np.concatenate([layout.shares for layout in layouts]) / len(layouts)
    return Layout(lay_out(names).cluster, np.concatenate(stratum), shares)

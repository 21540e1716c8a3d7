"""Agreement of two runs' answers beyond chance."""

from __future__ import annotations

from collections.abc import Sequence


def kappa(first: Sequence[str], second: Sequence[str]) -> float | None:
    """Cohen's kappa (1960); None where both always say the same one thing, as chance then explains everything."""
    import pandas as pd
    from statsmodels.stats.inter_rater import cohens_kappa

    said = sorted({*first, *second})
    if len(said) < 2:
        return None
    counts = pd.crosstab(pd.Categorical(first, said), pd.Categorical(second, said), dropna=False)
    return float(cohens_kappa(counts.to_numpy(), return_results=False))

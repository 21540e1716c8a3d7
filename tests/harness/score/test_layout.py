"""How samples belong together, on a handful of samples."""

import numpy as np
import pytest
from values import usual

from winnow.harness.score.layout import Layout, lay_out, side_by_side


def test_a_layout_is_whole_and_stays() -> None:
    assert usual(Layout) == {}


def test_samples_without_a_name_are_clusters_of_their_own() -> None:
    made = lay_out(["v", "", "v", ""])
    assert made.clusters == 3 and made.cluster[0] == made.cluster[2] and made.plain
    assert lay_out([]).clusters == 0


@pytest.mark.parametrize(
    ("strata", "combine", "plain"),
    [("aa", "mean", True), ("ab", "mean", False), ("ab", "sum", False), ("aa", "sum", True)],
)
def test_a_figure_is_plain_if_it_is_the_mean_over_all(strata: str, combine: str, plain: bool) -> None:
    assert lay_out(["", ""], [*strata], combine).plain == plain  # type: ignore[arg-type]
    half = Layout(np.zeros(2, int), np.zeros(2, int), np.array([0.5]))
    assert not half.plain


def test_strata_within_strata_share_what_the_outer_one_counts() -> None:
    made = lay_out([""] * 4, ["a > x", "a > y", "a > y", "b"])
    assert made.shares.tolist() == [0.25, 0.25, 0.5] and made.weights.tolist() == [0.25, 0.125, 0.125, 0.5]
    assert made.means(np.array([1.0, 0.0, 1.0, 3.0])).tolist() == [1, 0.5, 3]


def test_one_task_alone_is_itself() -> None:
    alone = lay_out(["v", "w", "v"], ["a", "b", "b"], "sum")
    beside = side_by_side([alone], ["v", "w", "v"])
    assert all(np.array_equal(getattr(alone, name), getattr(beside, name)) for name in ("cluster", "stratum", "shares"))


@pytest.mark.parametrize(
    ("names", "values", "effect"),
    [
        # Residuals ±1/2 of 1/4 each: alone 4/3 * 4/16; two clusters, whose residuals cancel: at least 1.
        ("aabb", (1, 0, 1, 0), 1.0),
        # Clusters of equal values: 2 * 2 * 1/4 of 1/3: (2 / 1 * 2/4) / (4/3 * 4/16) / 1 = 3, not above 4.
        ("aabb", (1, 1, 0, 0), 3.0),
        # No spread, and one cluster: a cluster is worth one sample.
        ("aabb", (1, 1, 1, 1), 2.0), ("aaaa", (1, 0, 1, 0), 4.0), ("a", (1,), 1.0),
        # Three samples of which two share: residuals 1/3 1/3 -2/3, over 3: (2 * 2 * 4/81) / (3/2 * 6/81) = 16/9.
        ("aab", (1, 1, 0), 16 / 9),
    ],
)  # fmt: skip
def test_the_design_effect_by_hand(names: str, values: tuple[float, ...], effect: float) -> None:
    assert lay_out([*names]).design_effect(np.array(values, float)) == pytest.approx(effect)

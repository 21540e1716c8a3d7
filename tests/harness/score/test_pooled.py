"""Means over tasks that the papers print as one figure, by hand."""

from typing import Any

import pytest
from written import task

from winnow.harness.common.run_files import Score
from winnow.harness.score.pooled import figures, layout_of, means_of, members_of, reader_of
from winnow.harness.score.stats import Z

POPE = ("pope_adv", "pope_pop", "pope_random")


def scores(*values: float, media: str = "") -> list[Score]:
    return [Score(float(value), "", media and f"{media}{i}") for i, value in enumerate(values)]


def parts(*counts: tuple[float, ...], media: str = "", **more: Any) -> Any:
    return {
        name: (task(name, **more), scores(*values, media=media)) for name, values in zip(POPE, counts, strict=False)
    }


def test_a_group_is_worth_the_mean_of_its_tasks_with_an_interval_of_its_own() -> None:
    # 1/2, 1/4 and 1 over unequal counts: 7/12, where the mean over samples is 4/8.
    found = means_of(parts((1, 0), (1, 0, 0, 0), (1, 1)))
    assert set(found) == {"pope_splits"} and found["pope_splits"]["mean"] == pytest.approx(100 * 7 / 12, abs=1e-4)
    # Each task is a stratum of weight 1/3: variances p~(1 - p~) / n~ with z²/2 right of z² added, divided by 9.
    spread = 0.0
    for right, n in ((1, 2), (1, 4), (2, 2)):
        share = (right + Z**2 / 2) / (n + Z**2)
        spread += share * (1 - share) / (n + Z**2)
    half = 100 * Z * (spread / 9) ** 0.5
    assert (found["pope_splits"]["high"] - found["pope_splits"]["low"]) / 2 == pytest.approx(half, abs=1e-3)


def test_part_of_a_group_and_a_group_with_hidden_labels_have_no_mean() -> None:
    assert means_of(parts((1,), (0,))) == {} == means_of(parts((1,), (0,), (1,), mean=None))


def test_what_failed_in_one_task_failed_in_the_mean() -> None:
    whole = parts((1,), (0,), (1,))
    assert means_of(whole)["pope_splits"]["verdict"] is None
    whole["pope_pop"][0]["verdict"] = "Failed"
    assert means_of(whole)["pope_splits"]["verdict"] == "Failed"


def test_readers_add_their_counts_and_average_their_figures() -> None:
    found = [{"reader": {"mean": mean, "documents": n, "unread": 1, "disagree": 2}} for mean, n in ((40, 4), (50, 6))]
    assert reader_of([*found, {}]) == {"mean": 45, "documents": 10, "unread": 2, "disagree": 4}  # type: ignore[list-item]
    assert reader_of([]) is None
    assert "reader" not in means_of(parts((1,), (0,), (1,)))["pope_splits"]


def test_a_picture_in_several_tasks_is_one_cluster() -> None:
    apart, shared = (layout_of([*parts((1, 0), (1, 0), (1, 0), media=media).values()]) for media in ("", "v"))
    assert (apart.clusters, shared.clusters) == (6, 2)
    assert apart.weights == pytest.approx([1 / 6] * 6)


@pytest.mark.parametrize(("combine", "shares"), [("mean", [0.5, 0.5]), ("sum", [1, 1])])
def test_a_tasks_strata_are_averaged_or_added(combine: str, shares: list[float]) -> None:
    made = layout_of([(task("t", combine=combine), [Score(1.0, "a", "x"), Score(0.0, "b", "y")])])  # type: ignore[list-item]
    assert made.shares == pytest.approx(shares)


def test_a_groups_figure_stands_in_the_place_of_its_tasks() -> None:
    tasks = [task(name) for name in (*POPE, "mme")]
    group = {"mean": 1.0}
    result: Any = {"tasks": tasks, "means": {"pope_splits": group}}
    assert figures(result) == {"mme": tasks[3], "pope_splits": group}
    assert set(figures({"tasks": tasks})) == {*POPE, "mme"}  # type: ignore[typeddict-item]
    assert members_of("pope_splits") == POPE and members_of("mme") == ("mme",)

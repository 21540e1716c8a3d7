"""Comparing two runs on disk: strata and sums by hand, videos that one run did not name, documents that differ."""

from pathlib import Path
from typing import Any

import pytest
from values import usual
from written import Rows, result, write_scores

from winnow.harness.score.paired import Compared, compare
from winnow.reducers.core.errors import WinnowError


def compared(folder: Path, ours: Rows, theirs: Rows, *names: str, **more: Any) -> Any:
    write_scores(folder / "a", ours)
    write_scores(folder / "b", theirs)
    tasks = names or ("t",)
    return compare(folder / "a", folder / "b", result("a", *tasks, **more), tasks)


def rows(*scores: float, strata: str = "", media: Any = None, task: str = "t") -> Rows:
    """One document a score, in strata named by letters, each with a video of its own unless told."""
    return [
        {"task": task, "doc_id": i, "metric": "m", "score": float(score),
         "stratum": strata[i] if strata else "", "media": media[i] if media else f"v{i}"}
        for i, score in enumerate(scores)
    ]  # fmt: skip


def test_a_mean_over_samples_in_points(tmp_path: Path) -> None:
    found = compared(tmp_path, rows(1, 1, 0, 1), rows(0, 1, 1, 0))
    # Gaps 1, 0, -1, 1: a quarter, in points; one sample of four agrees.
    assert (found.difference.mean, found.samples, found.videos, found.agree) == (25, 4, 4, 0.25)
    # Bonett and Price: up (2 + 1) / 6, down (1 + 1) / 6.
    half = 100 * 1.959964 * ((5 / 6 - 1 / 36) / 6) ** 0.5
    assert (found.difference.low, found.difference.high) == pytest.approx((100 / 6 - half, min(100, 100 / 6 + half)))
    assert found.difference.p == 1


def test_strata_of_unequal_size_weigh_alike_in_a_mean_and_add_up_in_a_sum(tmp_path: Path) -> None:
    # a: gaps 1, 0, 0, -1 and 1 (a fifth); b: gap 1. The mean of 1/5 and 1; by sample it would be 2/6.
    ours, theirs, strata = 8 * (1, 1, 0, 0, 1, 1), 8 * (0, 1, 0, 1, 0, 0), 8 * "aaaaab"
    mean = compared(tmp_path / "mean", rows(*ours, strata=strata), rows(*theirs, strata=strata))
    total = compared(tmp_path / "sum", rows(*ours, strata=strata), rows(*theirs, strata=strata), combine="sum")
    assert (mean.difference.mean, total.difference.mean) == (pytest.approx(60), pytest.approx(120))
    width = [found.difference.high - found.difference.low for found in (mean, total)]
    assert width[1] == pytest.approx(2 * width[0]) and mean.difference.p == pytest.approx(total.difference.p)


def test_the_mean_over_tasks_weighs_tasks_alike_and_shared_pictures_are_one_cluster(tmp_path: Path) -> None:
    media = ["x", "y"]
    ours = rows(1, 1, media=media) + rows(1, task="u", media=["x"])
    theirs = rows(1, 0, media=media) + rows(0, task="u", media=["x"])
    found = compared(tmp_path, ours, theirs, "t", "u")
    # A half in t, 1 in u; three samples about two pictures.
    assert (found.difference.mean, found.samples, found.videos) == (pytest.approx(75), 3, 2)
    alone = compare(tmp_path / "a", tmp_path / "b", result("a", "t", "u"), ["u"])
    assert (alone.difference.mean, alone.samples) == (100, 1)


def test_a_document_that_failed_before_its_video_was_named_is_named_by_the_other_run(tmp_path: Path) -> None:
    named, half = rows(1, 1, 0, 0, media=["x", "x", "y", "y"]), rows(0, 1, 0, 0, media=["", "x", "y", ""])
    assert compared(tmp_path / "forth", half, named).videos == 2 == compared(tmp_path / "back", named, half).videos


def test_the_order_of_documents_on_disk_does_not_matter(tmp_path: Path) -> None:
    ours, theirs = rows(1, 0, 0, 1, 1), rows(1, 1, 0, 0, 0)
    assert compared(tmp_path / "as it was", ours, theirs) == compared(tmp_path / "turned", ours, theirs[::-1])


def test_other_documents_and_no_shared_task_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WinnowError, match=r"^a and b hold different documents of task 't': run both again with force"):
        compared(tmp_path / "more", rows(1, 1), rows(1))
    with pytest.raises(WinnowError, match=r"^a and b share no scored task of other$"):
        compared(tmp_path / "other", rows(1), rows(1), "other")


def test_what_a_result_keeps_is_rounded(tmp_path: Path) -> None:
    found = compared(tmp_path, rows(1, 1, 1), rows(0, 1, 1))
    assert found.plain()["mean"] == 33.3333 and found.plain()["p"] == found.difference.p == 1
    assert set(found.plain()) == {"mean", "low", "high", "p"}


def test_what_is_told_is_whole_and_stays() -> None:
    assert usual(Compared) == {}

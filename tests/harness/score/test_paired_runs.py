"""Which runs are compared, and when a stored comparison no longer holds; every run has scores of its own."""

from pathlib import Path
from typing import Any

import pytest
from values import anew
from written import result as plain
from written import write_run

from winnow.harness.common import files
from winnow.harness.score.paired_runs import baselines, drops, replays, settle

FULL, HALF, GOOD = [1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]


def result(*words: str, **more: Any) -> Any:
    """A run as its file gives it."""
    return anew(plain(*words, **more))


def unreduced(run: str = "base", **more: Any) -> Any:
    return result(run, "t", **{"reducer": "none"} | more)


def test_the_baseline_of_a_context_is_its_finished_unreduced_run() -> None:
    runs = [unreduced(), unreduced("other", context="d"), result("method", "t"), unreduced("half", status="incomplete")]
    assert {context: run["id"] for context, run in baselines(runs).items()} == {"c": "base", "d": "other"}


@pytest.mark.parametrize("less", [{"frames": 2, "pixels": 1}, {"frames": 1, "pixels": 2}])
def test_an_unreduced_run_on_less_input_is_no_baseline(less: dict[str, int]) -> None:
    whole = unreduced(downsample={"frames": 1, "pixels": 1})
    assert baselines([whole, unreduced("less", downsample=less)]) == {"c": whole}
    assert baselines([unreduced("less", downsample=less)]) == {}


def test_a_models_own_pruning_is_no_baseline() -> None:
    own = unreduced("own", label="none model.own_pruning=true")
    assert baselines([unreduced(), own]) == {"c": unreduced()}


def test_the_newest_finished_replay_counts() -> None:
    like = {"reducer": "random", "knobs": {"like": "method"}}
    old, new = result("old", "t", day=1, **like), result("new", "t", day=3, **like)
    for runs in ([old, new], [new, old]):
        assert replays(runs)["method"]["id"] == "new"
    half = result("half", "t", day=9, status="incomplete", **like)
    assert replays([new, half, result("method", "t")]) == {"method": new}


def test_a_run_under_stress_stands_for_no_other() -> None:
    stressed = {"stress": {"order": 1}}
    assert baselines([unreduced(), unreduced("stressed", **stressed)]) == {"c": unreduced()}
    like = {"reducer": "random", "knobs": {"like": "method"}}
    calm, late = result("calm", "t", **like), result("late", "t", day=5, **like, **stressed)
    assert replays([calm, late]) == {"method": calm}
    plain = result("plain", "t", reducer="random", knobs={"like": None}), result("other", "t", knobs={"like": "method"})
    assert replays(plain) == {}


def test_what_was_settled_is_written_once(tmp_path: Path) -> None:
    base, method = write_run(tmp_path, FULL, "base", reducer="none"), write_run(tmp_path, HALF, "method")
    settle([base, method], tmp_path)
    path = tmp_path / "method/result.json"
    path.unlink()
    settle([base, method], tmp_path)  # which is known
    assert not path.exists()


def test_scores_that_are_gone_leave_no_difference_and_stop_nothing(tmp_path: Path) -> None:
    base, method = write_run(tmp_path, FULL, "base", reducer="none"), write_run(tmp_path, HALF, "method")
    other = write_run(tmp_path, GOOD, "other")
    (tmp_path / "method/scores.parquet").unlink()
    settle([base, method, other], tmp_path)
    assert "drop" not in method and other["drop"]["tasks"]["t"]["mean"] == -25


def test_a_difference_is_method_minus_baseline_in_points(tmp_path: Path) -> None:
    base, method = write_run(tmp_path, FULL, "base", reducer="none"), write_run(tmp_path, HALF, "method")
    assert drops(method, base, tmp_path)["t"]["mean"] == -50
    assert drops(base, base, tmp_path) == {} == drops(method, None, tmp_path)
    assert drops(method | {"status": "incomplete"}, base, tmp_path) == {}


def test_figures_without_labels_have_no_difference(tmp_path: Path) -> None:
    base, method = write_run(tmp_path, FULL, "base", reducer="none"), write_run(tmp_path, HALF, "method")
    method["tasks"].append({"task": "served", "metric": None, "mean": None, "file": "submission.json"})
    assert set(drops(method, base, tmp_path)) == {"t"}


def test_a_stored_comparison_holds_until_its_baseline_was_computed_anew(tmp_path: Path) -> None:
    base, method = write_run(tmp_path, FULL, "base", reducer="none"), write_run(tmp_path, HALF, "method")
    settle([base, method], tmp_path)
    assert method["drop"]["tasks"]["t"]["mean"] == -50
    assert files.read_json(tmp_path / "method/result.json")["drop"] == method["drop"]
    method["drop"]["tasks"]["t"]["mean"] = -49.0  # what is stored is taken as it is
    assert drops(method, base, tmp_path)["t"]["mean"] == -49
    newer = write_run(tmp_path, GOOD, "base", reducer="none", day=2)
    assert drops(method, newer, tmp_path)["t"]["mean"] == -25
    settle([newer, method], tmp_path)
    assert method["drop"]["baseline"][:2] == ["base", newer["finished"]]
    assert files.read_json(tmp_path / "method/result.json")["drop"]["tasks"]["t"]["mean"] == -25


def test_another_baseline_or_method_of_comparing_is_compared_anew(tmp_path: Path) -> None:
    base, method = write_run(tmp_path, FULL, "base", reducer="none"), write_run(tmp_path, HALF, "method")
    settle([base, method], tmp_path)
    other = write_run(tmp_path, GOOD, "other", reducer="none")
    assert drops(method, other, tmp_path)["t"]["mean"] == -25
    stale = {"baseline": [base["id"], base["finished"]], "tasks": {"t": {"mean": 0.0}}}
    assert drops(method | {"drop": stale}, base, tmp_path)["t"]["mean"] == -50


def test_random_at_equal_budget_stands_beside_the_drop_and_never_in_its_place(tmp_path: Path) -> None:
    base, method = write_run(tmp_path, FULL, "base", reducer="none"), write_run(tmp_path, GOOD, "method")
    control = write_run(tmp_path, HALF, "control", reducer="random", knobs={"like": "method"})
    settle([base, method, control], tmp_path)
    assert method["drop"]["tasks"]["t"]["mean"] == -25 and method["gain"]["tasks"]["t"]["mean"] == 25
    assert control["drop"]["tasks"]["t"]["mean"] == -50 and "gain" not in control and "drop" not in base
    assert drops(method, control, tmp_path, "gain") == method["gain"]["tasks"] != drops(method, base, tmp_path)

"""What the table of runs says of a run, from results made by hand."""

from typing import Any

import pytest
import written

from winnow.harness.results.tables.runs import _by_task, _chosen, _figure, _only, _profiles, _reasons, _row, plus_minus
from winnow.reducers.core.errors import WinnowError

FIGURE = {"mean": 50.04, "low": 45.0, "high": 57.0}
GAP = {"mean": -3.0, "low": -4.0, "high": -1.5, "p": 0.1}
COST = {"profile": "physical", "tflops": 12.345, "flops_share": 0.25, "kv_bytes": 1234567.0}
SHARES = {"entrance": 1.0, "mean": 0.71875, "last": 0.25}


def test_a_mean_stands_with_half_of_its_intervals_width() -> None:
    assert plus_minus(FIGURE) == "50.0 ± 6.0" and plus_minus(FIGURE, sign=True) == "+50.0 ± 6.0"
    assert plus_minus(GAP, sign=True) == "-3.0 ± 1.2" and plus_minus(None) == ""


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (None, ""), (FIGURE, "50.0 ± 6.0"), ({"mean": None}, ""),
        ({"mean": None, "file": "sent.json"}, "sent.json"),
        (FIGURE | {"unparsed": 3}, "50.0 ± 6.0 (3 unread)"), (FIGURE | {"unparsed": 0, "verdict": None}, "50.0 ± 6.0"),
        (FIGURE | {"unparsed": 3, "verdict": "Failed"}, "50.0 ± 6.0 (3 unread) Failed"),
        (FIGURE | {"judge": FIGURE | {"mean": 60.0, "score": 3.456}, "unparsed": 3}, "60.0 ± 6.0 / 3.46"),
    ],
)  # fmt: skip
def test_a_figure_in_words(task: Any, said: str) -> None:
    assert _figure(task) == said


def row(*profiles: str, **more: Any) -> dict[str, str]:
    made = written.result(
        "abc", **{"shares": SHARES, "cost": COST, "asked": "0.25", "knobs": {"schedule": "k=5"}} | more
    )
    made["tasks"] = [{"task": "quiz", **FIGURE}]
    return _row(made, ["quiz", "other"], profiles or ("physical",), {"quiz": GAP}, {})  # type: ignore[dict-item]


def test_a_row_of_a_run() -> None:
    assert row() == {
        "model": "pico", "reducer": "fastv", "at": "k=5", "ratio": "0.25", "entrance": "100.0", "mean": "71.9",
        "last": "25.0", "quiz": "50.0 ± 6.0", "Δ quiz": "-3.0 ± 1.2", "Δ random quiz": "", "other": "", "Δ other": "",
        "Δ random other": "", "TFLOPs (physical)": "12.3", "FLOPs % (physical)": "25.0", "KV MB": "1.23", "n": "4",
        "run": "abc",
    }  # fmt: skip


def test_what_a_run_lacks_is_empty() -> None:
    bare = row(shares=None, cost=None)
    assert {
        bare[name] for name in ("entrance", "mean", "last", "TFLOPs (physical)", "FLOPs % (physical)", "KV MB")
    } == {""}
    both = row("llm-viewer-compat", "physical")
    assert both["TFLOPs (llm-viewer-compat)"] == both["FLOPs % (llm-viewer-compat)"] == ""
    assert both["TFLOPs (physical)"] == "12.3" and both["KV MB"] == "1.23"
    assert row(failed=2)["run"] == "abc incomplete: 2 failed"


@pytest.mark.parametrize(
    ("budget", "ratio"),
    [
        ({"kind": "mean", "achieved": 0.71884}, "asked → 0.719"), ({"kind": "mean", "achieved": 0.0}, "asked → 0"),
        ({"kind": "tokens", "achieved": 64.04}, "asked → 64.0"), ({"kind": "flops", "achieved": None}, "asked"),
        (None, "asked"),
    ],
)  # fmt: skip
def test_a_budget_stands_beside_what_was_achieved(budget: Any, ratio: str) -> None:
    assert row(budget=budget, asked="asked")["ratio"] == ratio


def test_profiles_are_those_of_the_runs_that_cost_something() -> None:
    results: Any = [{"cost": None}, {"cost": COST}, {"cost": COST | {"profile": "other"}}, {"cost": COST}]
    assert _profiles(results) == ["physical", "other"]


def test_why_there_is_no_difference_is_said_once_with_how_many() -> None:
    assert _reasons(["", "no baseline", "", "other data", "no baseline"]) == [
        "No Δ of 2: no baseline.", "No Δ of 1: other data."
    ]  # fmt: skip


def test_a_row_a_task_of_those_that_a_run_has() -> None:
    first = {"model": "m", "reducer": "r", "at": "", "ratio": "1", "seed": "3", "mean": "50", "run": "a", "n": "4"}
    first |= {"q": "1 ± 1", "Δ q": "+1", "Δ random q": "-1", "p": "", "Δ p": "", "Δ random p": ""}
    second = first | {"run": "b", "q": "", "p": "2 ± 1", "Δ p": "x"}
    found = _by_task([first, second], ["q", "p"], ["seed"])
    head = {"model": "m", "reducer": "r", "at": "", "ratio": "1", "seed": "3", "mean": "50"}
    assert found == [
        {"task": "q"} | head | {"figure": "1 ± 1", "Δ": "+1", "Δ random": "-1", "run": "a"},
        {"task": "p"} | head | {"figure": "2 ± 1", "Δ": "x", "Δ random": "", "run": "b"},
    ]


def test_columns_are_taken_of_both_tables_a_row_a_run_or_a_run_and_task() -> None:
    numbers = [
        {"run": "a", "task": task, "n": n, "mean": mean, "seed": None}
        for task, n, mean in (("q", 3, 1.5), ("p", 5, 2.5))
    ]
    whole = {"a": {"run": "a", "reducer": "fastv", "n": "8"}}
    assert _chosen(numbers, whole, ["reducer", "n", "seed"]) == [{"reducer": "fastv", "n": "8", "seed": ""}]
    assert _chosen(numbers, whole, ["task", "n", "reducer"]) == [
        {"task": "q", "n": "3", "reducer": "fastv"}, {"task": "p", "n": "5", "reducer": "fastv"}
    ]  # fmt: skip
    with pytest.raises(WinnowError, match="--columns nn: the table has no such column, did you mean n"):
        _only([{"n": "1", "run": "a"}], ["nn"])
    assert _only([], ["nn"]) == [] and _only([{"n": "1"}], []) == [{"n": "1"}]

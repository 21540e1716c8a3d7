"""Our value of a printed cell, from results made by hand."""

from typing import Any

import pytest
from values import usual

from winnow.harness.results.paper.values import Value, average, figure, img_memory, scored


def task(name: str, mean: float | None, half: float = 2.0, **more: Any) -> dict[str, Any]:
    return {"task": name, "metric": "m", "mean": mean, "low": None if mean is None else mean - half,
            "high": None if mean is None else mean + half} | more  # fmt: skip


def result(*tasks: dict[str, Any], **more: Any) -> Any:
    return {"tasks": [*tasks]} | more


def test_a_value_may_be_a_number_alone() -> None:
    assert usual(Value) == {"low": None, "high": None, "text": ""}


def test_half_is_half_of_the_intervals_width() -> None:
    assert Value(50, 47, 53).half == 3
    assert Value(50).half is None is Value(50, low=1).half


def test_one_task_is_worth_its_figure() -> None:
    assert scored(result(task("a", 40)), "a") == Value(40, 38, 42)
    assert scored(result(task("a", 40, verdict="Failed")), "a") == Value(40, 38, 42, "Failed")
    assert scored(result(task("a", None)), "a") is None


def test_several_tasks_are_worth_their_mean_without_an_interval() -> None:
    assert figure(result(task("a", 40), task("b", 70), task("c", None))) == {"mean": 55}
    assert figure(result(task("a", None), task("b", None))) is None
    assert scored(result(task("a", 40), task("b", 70)), "a") == Value(55)


def test_a_group_is_worth_its_own_figure_and_hides_its_tasks() -> None:
    names = ["pope_adv", "pope_pop", "pope_random"]
    own = {"mean": 10.0, "low": 9.0, "high": 11.5, "verdict": None}
    found = result(*(task(name, 80) for name in names), means={"pope_splits": own})
    assert scored(found, "pope_splits") == Value(10, 9, 11.5)


def test_parts_of_the_break_down_and_the_judges_word() -> None:
    part = {"mean": 33.0, "low": 30.0, "high": 36.0, "documents": 9}
    judge = {"mean": 66.0, "low": 60.0, "high": 72.0, "score": 3.5}
    found = result(task("a", 40, breakdown={"short": part}, judge=judge))
    assert scored(found, "a") == Value(66, 60, 72) == scored(found, "a:judge")
    assert scored(found, "a:score") == Value(3.5)
    assert scored(found, "a:short") == Value(33, 30, 36)
    assert scored(found, "a:long") is None is scored(result(task("a", 40)), "a:score")


@pytest.mark.parametrize(
    ("values", "mean"),
    [([40, 60, 80], 60), ([40], 40), ([], None), ([40, None], None), ([40, Value(60, text="Failed")], None)],
)
def test_an_average_needs_all_of_its_cells(values: list[Any], mean: float | None) -> None:
    cells = [value if value is None or isinstance(value, Value) else Value(value) for value in values]
    assert average(cells) == (None if mean is None else Value(mean))


def test_image_memory_is_the_mean_share_over_the_layers_in_per_cent() -> None:
    runs: list[Any] = [{"shares": {"entrance": 1.0, "mean": mean, "last": 0.1}} for mean in (0.3, 0.5)]
    assert img_memory([*runs, {"shares": None}]) == Value(pytest.approx(40))
    assert img_memory([{"shares": None}]) is None is img_memory([])

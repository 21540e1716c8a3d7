"""What stands in the place of lmms-eval's judges and memories, only while it scores."""

from types import SimpleNamespace
from typing import Any

import pytest

from winnow.harness.score.steady import steadied
from winnow.harness.tasks.benchmark import Benchmark
from winnow.harness.tasks.readers import graded
from winnow.reducers.core.errors import WinnowError

MODULE = "def ask():\n    return 'judge'\n\ndef score(doc, results):\n    return ask()\n"


def a_task() -> Any:
    """Two copies of one module, as lmms-eval loads them."""
    copies: list[dict[str, Any]] = [{}, {}]
    for names in copies:
        exec(MODULE, names)
    config = SimpleNamespace(process_results=copies[0]["score"])
    return SimpleNamespace(config=config, aggregation=lambda: {"m": copies[1]["score"], "mean": max})


def benchmark(**instead: Any) -> Benchmark:
    return Benchmark("quiz", "quiz", "org/quiz", graded, instead=instead)


def of_nobody(names: dict[str, Any]) -> Any:
    asked = names["ask"]
    return lambda: f"no {asked()}"


def test_every_copy_of_the_module_is_changed_and_put_back() -> None:
    task = a_task()
    functions = [task.config.process_results, task.aggregation()["m"]]
    with steadied(benchmark(ask=of_nobody), task):
        assert [one(None, None) for one in functions] == ["no judge"] * 2
    assert [one(None, None) for one in functions] == ["judge"] * 2


def test_a_task_that_lacks_the_name_is_of_another_version() -> None:
    lacking, wrong = benchmark(tell=lambda names: None), r"^lmms-eval's task 'quiz' has no 'tell': install lmms-eval"
    with pytest.raises(WinnowError, match=wrong), steadied(lacking, a_task()):
        pass


def test_a_name_that_one_copy_alone_has_is_changed_there() -> None:
    task = a_task()
    other: dict[str, Any] = {}
    exec("def score(doc, results):\n    return 'other'\n", other)
    task.aggregation = lambda: {"m": other["score"], "mean": max}
    with steadied(benchmark(ask=of_nobody), task):
        assert task.config.process_results(None, None) == "no judge" and "ask" not in other


def test_most_tasks_are_left_alone() -> None:
    task = a_task()
    for one in None, benchmark():
        with steadied(one, None), steadied(one, task):
            assert [task.config.process_results(None, None), task.aggregation()["m"](None, None)] == ["judge"] * 2

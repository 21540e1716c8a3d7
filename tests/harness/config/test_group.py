"""Which cells are answered together: those that share all that decides documents, pictures and batches."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from values import usual

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import (
    BudgetConfig,
    DownsampleConfig,
    MediaConfig,
    ModelConfig,
    NominalConfig,
    ShareConfig,
    StressConfig,
    TasksConfig,
    TrackerConfig,
)

CELL = Cell(
    ModelConfig(name="m", family="f", repo="r", frames=8, has_cls=False, nominal=NominalConfig(8, 25, 20)),
    Method("fastv", "x:Y", {}), TasksConfig("t", ["t"]), BudgetConfig(), Path("runs"),
)  # fmt: skip
PLAIN = Method("a", "x:A", {})
TOGETHER: dict[str, Any] = {
    "method": Method("vtw", "x:Z", {}, ratio=0.3),
    "budget": BudgetConfig(mean=0.5),
    "results": Path("elsewhere"),
    "seed": 1,
    "force": True,
    "tracker": TrackerConfig("mlflow"),
}
APART: dict[str, Any] = {
    "model": replace(CELL.model, dtype="bfloat16"),
    "tasks": TasksConfig("t", ["t", "u"]),
    "batch_size": 4,
    "limit": 8,
    "downsample": DownsampleConfig(frames=2),
    "stress": StressConfig(order=1),
    "media": MediaConfig(accept_damaged=True),
    "share": ShareConfig(memory=1.0),
}


def test_what_a_cell_and_a_method_mean_where_nothing_is_said() -> None:
    assert usual(Cell) == {
        "seed": 0, "batch_size": 16, "limit": None, "force": False, "downsample": DownsampleConfig(),
        "stress": StressConfig(), "media": MediaConfig(), "share": ShareConfig(), "tracker": TrackerConfig(),
    }  # fmt: skip
    assert usual(Method) == {
        "schedule": None, "ratio": None, "takes_ratio": False, "seeded": False, "parts": (), "checkpoints": ()
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "loads"),
    [
        (Method("x", "x:Y", {"text": "weights"}), False),
        (Method("x", "x:Y", {"text": None}, checkpoints=("text",)), False),
        (Method("x", "x:Y", {"text": "weights"}, checkpoints=("text",)), True),
        (Method("x", "x:Y", {"text": "weights"}, checkpoints=("other", "text")), True),
        (Method("x", "x:Y", {}, parts=(PLAIN, replace(PLAIN, args={"w": "y"}, checkpoints=("w",)))), True),
        (Method("x", "x:Y", {}, parts=(PLAIN, PLAIN)), False),
    ],
)  # fmt: skip
def test_whether_a_method_loads_weights_of_its_own(method: Method, loads: bool) -> None:
    assert method.loads == loads


def test_every_field_of_a_cell_is_decided() -> None:
    assert {*TOGETHER, *APART} == {field.name for field in fields(Cell)} and not {*TOGETHER} & {*APART}


@pytest.mark.parametrize("name", [*TOGETHER, *APART])
def test_cells_are_answered_together_unless_that_could_change_an_answer(name: str) -> None:
    other = replace(CELL, **{name: (TOGETHER | APART)[name]})
    assert (other.group == CELL.group) == (name in TOGETHER)


def test_less_input_is_another_model_and_leaves_the_cells_own_as_it_is() -> None:
    less = replace(CELL, downsample=DownsampleConfig(frames=2))
    assert (less.seen.frames, less.model.frames) == (4, 8)


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({}, ""),
        ({"method": Method("vtw", "x:Z", {}, ratio=0.30)}, "0.3"),
        ({"budget": BudgetConfig(mean=0.5)}, "mean 0.5"),
        ({"budget": BudgetConfig(flops=0.25)}, "flops 0.25"),
    ],
)
def test_what_was_asked(changes: dict[str, Any], asked: str) -> None:
    found = replace(CELL, **changes)
    assert found.asked == asked and found.has_budget == ("budget" in changes)

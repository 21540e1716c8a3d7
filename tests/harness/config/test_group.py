"""Which cells are answered together: those that share all that decides documents, pictures and batches."""

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

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

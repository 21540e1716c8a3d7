"""What is not said means the same on the command line and in a cell."""

from dataclasses import fields
from typing import Any

import pytest

from winnow.harness.config.cell import Cell
from winnow.harness.config.schema import BudgetConfig, DownsampleConfig, RunConfig, StressConfig


def test_defaults_of_runs_and_of_cells_are_one() -> None:
    runs, cells = ({field.name: field.default for field in fields(cls)} for cls in (RunConfig, Cell))
    shared = ("seed", "batch_size", "limit", "force")
    assert {name: runs[name] for name in shared} == {name: cells[name] for name in shared}
    assert [runs[name] for name in shared] == [0, 16, None, False]
    assert (runs["smoke"], runs["controls"], runs["only"], runs["ratio"]) == (False, False, None, None)


@pytest.mark.parametrize(
    ("budget", "asked"),
    [
        (BudgetConfig(), None), (BudgetConfig(mean=0.5), ("mean", 0.5)), (BudgetConfig(flops=0.7), ("flops", 0.7)),
        (BudgetConfig(tokens=9), ("tokens", 9)),
    ],
)  # fmt: skip
def test_the_budget_that_was_asked(budget: BudgetConfig, asked: Any) -> None:
    assert budget.asked == asked and (budget.scope, budget.tol) == ("picture", 0.02)


def test_nothing_is_less_and_nothing_is_stressed_unless_it_is_said() -> None:
    assert vars(DownsampleConfig()) == {"frames": 1, "pixels": 1}
    assert StressConfig().words == {} and StressConfig(order=0, question="x").words == {"order": 0, "question": "x"}

"""What composing decides of ratio, native knobs and budgets, without Hydra."""

from typing import Any

import pytest

from winnow.harness.config.cell import Method
from winnow.harness.config.choices import listed
from winnow.harness.config.compose import _method, check_budget
from winnow.harness.config.schema import BudgetConfig
from winnow.reducers.core.errors import WinnowError

DEPTH = 8
RATIOS: dict[str, float | None] = {"ratio": 0.5, "budget.mean": 0.5, "budget.flops": 0.5}


def method(name: str, budget: BudgetConfig, ratio: float | None = None, **args: Any) -> tuple[Method, BudgetConfig]:
    node = {key: value for key, value in listed("reducer", name).items() if key != "defaults"} | args
    return _method(
        name, {"reducer": node, "schedule": {"kind": "k", "k": 2, "of": None}, "ratio": ratio}, budget, DEPTH
    )


@pytest.mark.parametrize("budget", [BudgetConfig(mean=0.5), BudgetConfig(flops=0.5)])
def test_no_budget_beside_a_native_knob(budget: BudgetConfig) -> None:
    with pytest.raises(WinnowError, match=r"^a budget solves the ratio, but reducer\.R=0\.5 fixes it: give only one$"):
        method("fastv", budget, R=0.5)
    assert method("fastv", budget)[0].ratio is None and method("fastv", budget)[1] == budget


def test_a_native_knob_wins_over_the_ratio_and_the_default_fills_in() -> None:
    assert method("fastv", BudgetConfig(), 0.3, R=0.5)[0].ratio is None
    assert method("fastv", BudgetConfig(), 0.3)[0].ratio == 0.3
    assert method("fastv", BudgetConfig())[0].ratio == 0.5


@pytest.mark.parametrize("one", RATIOS)
@pytest.mark.parametrize("other", RATIOS)
def test_one_of_ratio_and_budgets_is_given(one: str, other: str) -> None:
    given = {name: value if name in (one, other) else None for name, value in RATIOS.items()}
    budget = BudgetConfig(mean=given["budget.mean"], flops=given["budget.flops"])
    if one == other:
        assert check_budget(budget, given["ratio"]) == budget
        return
    with pytest.raises(WinnowError, match="exclude each other: give only one of them") as caught:
        check_budget(budget, given["ratio"])
    assert f"{one}=0.5" in str(caught.value) and f"{other}=0.5" in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"mean": 0}, {"mean": 1.5}, {"flops": -1}, {"flops": 0}, {"flops": 2}, {"tol": -0.1}, {"tol": float("nan")}],
)
def test_budgets_are_shares_and_tolerances_no_less_than_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(WinnowError, match=r"^budget\.(mean|flops|tol)=\S+ is not allowed: choose "):
        check_budget(BudgetConfig(**wrong), None)


def test_a_budget_of_everything_and_no_tolerance_are_allowed() -> None:
    assert check_budget(BudgetConfig(mean=1.0, tol=0.0), None).mean == 1

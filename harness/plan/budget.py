"""Solve a method's free knob for a compute budget, so that methods are compared at equal cost."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from winnow.reducers.core.errors import WinnowError

Plan = TypeVar("Plan")

STEPS = 100_000


@dataclass(frozen=True)
class Solution:
    """The ratio that comes nearest to a budget: `asked` is the budget, `achieved` what the planned layers cost."""

    ratio: float
    asked: float
    achieved: float


def solve(
    plan: Callable[[float], Plan],
    measure: Callable[[Plan], float],
    target: float,
    low: float,
    high: float,
    tol: float,
    unit: str = "",
) -> Solution:
    """Find the ratio whose plan costs the nearest to `target`, on a grid of 1/100000.

    Parameters
    ----------
    plan : callable
        Ratio to whatever has a cost: a method, the tokens of each layer; more ratio means more tokens.
    measure : callable
        That to its cost, in the unit of `target`; more tokens cost more.
    target : float
        The budget.
    low, high : float
        Range of ratios to search, both included.
    tol : float
        Largest |achieved - asked| that counts as a solution, as a share of `target` where it has a unit.
    unit : str
        Of the budget; empty where it is a share.

    Raises
    ------
    WinnowError
        When no ratio in the range comes within `tol`; names the attainable range.
    """

    def cost(step: int) -> float:
        return measure(plan(step / STEPS))

    below, above = math.ceil(low * STEPS - 1e-6), math.floor(high * STEPS + 1e-6)
    bounds = cost(below), cost(above)
    while above - below > 1:
        middle = (below + above) // 2
        below, above = (middle, above) if cost(middle) <= target else (below, middle)
    achieved, step = min(((cost(step), step) for step in (below, above)), key=lambda pair: abs(pair[0] - target))
    if not abs(achieved - target) <= (tol * target if unit else tol):
        raise WinnowError(_out_of_reach(target, achieved, bounds, tol, f" {unit}" if unit else ""))
    return Solution(step / STEPS, target, achieved)


def _out_of_reach(target: float, nearest: float, bounds: tuple[float, float], tol: float, unit: str) -> str:
    return (
        f"the budget {target:g}{unit} is out of reach: this method attains {bounds[0]:.4g} to {bounds[1]:.4g}{unit} "
        f"here, and the nearest is {nearest:.4g}{unit}, further than budget.tol={tol:g}; ask for a value in that range "
        "or raise budget.tol"
    )

"""Builds a cell's reducer, solves its budget, and refuses what cannot work, all before a model loads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.compose import PICTURE, REPEAT, REPLAY, REPLAYS
from winnow.harness.config.compose_parts import PARTS
from winnow.harness.plan.budget import Solution, solve
from winnow.harness.plan.family import family_facts
from winnow.harness.plan.idle import check_drops
from winnow.harness.plan.nominal import Nominal, cost_of, nominal
from winnow.harness.plan.replay import counts, fates
from winnow.models.families.hybrid import fitted
from winnow.models.families.support import impossible
from winnow.reducers.core.absolute import Absolute
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.registry import build, find
from winnow.reducers.core.schedule import SCHEDULES
from winnow.reducers.core.tower import Tower

_ANY_TOWER = Tower(blocks=24, used=24, rows=24, cols=24, cls=True)
TOKENS = "tokens"
LOWEST = 0.001
"""Smallest retention ratio that a budget is solved with."""


@dataclass(frozen=True)
class Built:
    """A reducer ready to run.

    Attributes
    ----------
    reducer : Reducer
    knobs : dict
        Its resolved native hyper-parameters.
    ratio : float or None
        The retention ratio in force, solved from the budget if there is one.
    planned : float or None
        What the plan costs in the budget's unit; None without a budget.
    kept : str
        The share of visual tokens that the nominal prompt's layers are planned to see; empty where only a run tells.
    visual : list of int
        The visual tokens that these layers are planned to see.
    moved : str
        The schedule that was asked for, where the model has no attention to read there; else empty.
    """

    reducer: Reducer
    knobs: dict[str, Any]
    ratio: float | None = None
    planned: float | None = None
    kept: str = ""
    visual: list[int] = field(default_factory=list)
    moved: str = ""


@dataclass(frozen=True)
class Goal:
    """What a budget asks for.

    Attributes
    ----------
    target : float
        The budget.
    measure : callable
        From the visual tokens that each layer is planned to process to the cost in the budget's unit.
    unit : str
        Empty where it is a share.
    """

    target: float
    measure: Callable[[Reducer], float]
    unit: str = ""


def build_method(cell: Cell, runs: bool = True, goal: Goal | None = None) -> Built:
    """Make the reducer of a cell.

    Parameters
    ----------
    cell : Cell
        What is asked for.
    runs : bool
        False: it is only planned, which then waits for no heavy import, and whether the pair can run is asked only
        where the plan depends on it.
    goal : Goal or None
        A budget that takes the place of the cell's.

    Raises
    ------
    WinnowError
        For values that the method does not take, schedules beyond the model's depth, pairs of model and method that
        are impossible, budgets out of reach, and methods that would drop nothing.
    """
    method, prompt = cell.method, nominal(cell.seen)
    values = _values(method)
    if method.target == REPLAY:
        values["counts"] = counts(cell, method.args["like"])
    if method.target == REPEAT:
        values["fates"] = fates(cell, method.args["like"])
    goal = goal or goal_of(cell, prompt)
    depth, every = prompt.shape.layers, family_facts(cell.model.family).full_every
    solution = (
        _solve(cell, prompt, goal, lambda ratio: fitted(_make(method, values, ratio), depth, every)) if goal else None
    )
    ratio = solution.ratio if solution else method.ratio
    given = _make(method, values, ratio)
    reducer = fitted(given, depth, every)
    moved = "" if reducer is given else str(given.knobs(depth).get("schedule", ""))
    acts_in_tower = reducer.acts_in_tower(depth, prompt.tower or _ANY_TOWER)
    if cell.budget.tokens is not None and solution and cell.budget.scope == PICTURE:
        reducer = _of_each_picture(cell, prompt, reducer, acts_in_tower)
    if runs or (prompt.tower is None and acts_in_tower):
        _check_support(cell, reducer, depth, prompt.shape.lean.readers if prompt.shape.lean else 0)
    planned = prompt.plan(reducer)
    check_drops(cell, reducer, prompt, planned)
    kept = "" if method.target in REPLAYS else _kept(reducer, prompt, planned)
    achieved = solution.achieved if solution else None
    return Built(reducer, reducer.knobs(depth), ratio, achieved, kept, planned, moved)


def _kept(reducer: Reducer, prompt: Nominal, planned: Sequence[int]) -> str:
    shares = [100 * visual / prompt.visual for visual in planned]
    mean, about = sum(shares) / len(shares), "about " if reducer.adaptive else ""
    return f"{about}{mean:.3g} % of the visual tokens ({shares[0]:.3g} % at first, {shares[-1]:.3g} % at last)"


def goal_of(cell: Cell, prompt: Nominal) -> Goal | None:
    """What a cell's own budget asks for; None without one."""
    budget = cell.budget
    if budget.asked is None:
        return None
    kind, target = budget.asked

    def measure(reducer: Reducer) -> float:
        visual = prompt.plan(reducer)
        tokens, mlp = ([n + prompt.text for n in counts] for counts in (visual, prompt.mlp(reducer, visual)))
        cost = cost_of(budget, prompt.shape, tokens, mlp, visual, prompt.visual, prompt.attn)
        assert cost is not None
        return cost

    return Goal(target, measure, TOKENS if kind == TOKENS else "")


def _of_each_picture(cell: Cell, prompt: Nominal, reducer: Any, acts_in_tower: bool) -> Reducer:
    """Let the number hold for pictures of every size; one that the tower sees in one view has one size."""
    if not acts_in_tower:
        return Absolute(reducer, reducer.ratio * prompt.visual)
    if prompt.span.frames > 1:
        raise WinnowError(
            f"reducer={cell.method.name} acts on each view of a picture by itself, before their number is known: say "
            "budget.scope=tile, which gives each view of the nominal prompt its part of budget.tokens"
        )
    built: Reducer = reducer
    return built


def _solve(cell: Cell, prompt: Nominal, goal: Goal, make: Callable[[float], Reducer]) -> Solution:
    """Solve the ratio on the nominal prompt; adaptive methods with forced rounds."""
    if "ratio" not in {field.name for field in fields(find(cell.method.target))}:
        raise WinnowError(f"reducer={cell.method.name} has no field 'ratio' that a budget could solve: leave it out")
    share = goal.target / prompt.visual
    if goal.unit == TOKENS and share <= 1 and goal.measure(make(share)) == goal.target:
        return Solution(share, goal.target, goal.target)
    return solve(make, goal.measure, goal.target, LOWEST, 1.0, cell.budget.tol, goal.unit)


def _check_support(cell: Cell, reducer: Reducer, depth: int, readers: int) -> None:
    family = family_facts(cell.model.family)
    if cell.seen.pixels > 1 and not family.any_size:
        raise WinnowError(
            f"downsample.pixels={cell.seen.pixels} cannot work on model={cell.model.name}: its tower takes pictures of "
            "one size, so that fewer pixels are as many tokens; say downsample.frames"
        )
    if cell.downsample.frames > 1 and family.fixed_frames:
        raise WinnowError(
            f"downsample.frames={cell.downsample.frames} cannot work on model={cell.model.name}: it repeats fewer "
            f"frames until they are {family.fixed_frames}, which are as many tokens"
        )
    _check_budget(cell, family.budgets)
    _check_own_pruning(cell, family.prunes_itself, reducer, depth)
    why = impossible(family, reducer, depth, readers)
    if why:
        raise WinnowError(f"reducer={cell.method.name} cannot work on model={cell.model.name}: {why}")


def _check_budget(cell: Cell, trained: Sequence[int]) -> None:
    """Refuse pictures of another number of tokens where a model was trained with a few."""
    vision, most = cell.model.arch["vision"], cell.seen.max_pixels
    if not trained or not most:
        return
    token = (int(vision["patch"]) * int(vision["merge"])) ** 2
    if (tokens := most / token / cell.seen.pixels) not in trained:
        budgets = " | ".join(map(str, trained))
        choices = " | ".join(str(number * token * cell.seen.pixels) for number in trained)
        raise WinnowError(
            f"model={cell.model.name} was trained with pictures of {budgets} tokens, not {tokens:g}: say "
            f"model.max_pixels={choices}, or another downsample.pixels"
        )


def _check_own_pruning(cell: Cell, possible: bool, reducer: Reducer, depth: int) -> None:
    """Refuse a model's own pruning where it has none, and below a method: its row stands beside those of methods."""
    own = cell.model.own_pruning
    if own is not None and not possible:
        raise WinnowError(
            f"model.own_pruning={str(own).lower()} has no meaning for model={cell.model.name}, which has no pruning of "
            "its own: leave it out"
        )
    if own and reducer.sites(depth):
        raise WinnowError(
            f"model.own_pruning=true and reducer={cell.method.name} would prune twice: say reducer=none for the "
            "model's own, or model.own_pruning=false"
        )


def _values(method: Method) -> dict[str, Any]:
    values = {name: frozen(value) for name, value in method.args.items()}
    if method.schedule is not None:
        numbers = {name: frozen(value) for name, value in method.schedule.items()}
        kind = str(numbers.pop("kind"))
        values["schedule"] = SCHEDULES[kind](**numbers)
    for at, part in zip(PARTS, method.parts, strict=False):
        values[at] = _make(part, _values(part), part.ratio, f"reducer.{at}.")
    return values


def frozen(value: Any) -> Any:
    """Turn lists, at any depth, into the tuples that the methods' fields hold."""
    return tuple(map(frozen, value)) if isinstance(value, list) else value


def _make(method: Method, values: Mapping[str, Any], ratio: float | None, prefix: str = "reducer.") -> Reducer:
    """Build with one ratio; a method's own default stands where none was given."""
    given = dict(values) | ({} if ratio is None else {"ratio": ratio})
    return build(method.target, given, prefix)

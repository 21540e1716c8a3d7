"""Builds a cell's reducer, solves its budget, and refuses what cannot work, all before a model loads."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from harness.budget import Solution, solve
from harness.cell import Cell
from harness.cost import LLMShape, prefill_flops
from harness.schema import ModelConfig
from reducers.base import Reducer
from reducers.errors import WinnowError
from reducers.registry import build, find
from reducers.schedule import SCHEDULES

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
    """

    reducer: Reducer
    knobs: dict[str, Any]
    ratio: float | None = None
    planned: float | None = None


def build_method(cell: Cell) -> Built:
    """Make the reducer of a cell.

    Raises
    ------
    WinnowError
        For values that the method does not take, schedules beyond the model's depth, budgets out of reach, and
        methods that would drop nothing.
    """
    shape = llm_shape(cell.model)
    cls = find(cell.method.target)
    values = _values(cell)
    if not cell.has_budget:
        reducer = _make(cell, cls, values, cell.method.ratio)
        _check_drops(cell, reducer, shape)
        return Built(reducer, reducer.knobs(shape.layers), cell.method.ratio)
    solution = _solve(cell, shape, lambda ratio: _make(cell, cls, values, ratio))
    reducer = _make(cell, cls, values, solution.ratio)
    return Built(reducer, reducer.knobs(shape.layers), solution.ratio, solution.achieved)


def llm_shape(model: ModelConfig) -> LLMShape:
    """The LLM's numbers: those of the YAML, shrunk where ``scale=tiny`` shrinks random weights."""
    arch: Mapping[str, Any] = model.arch
    if model.weights == "random" and model.scale == "tiny":
        from models.llm import tiny

        arch = tiny(arch)
    return LLMShape.from_arch(arch)


def budget_of(cell: Cell, tokens: Sequence[int], visual: Sequence[int], full: int) -> float | None:
    """Measure layers in the unit of the cell's budget; None without one.

    Parameters
    ----------
    cell : Cell
    tokens, visual : sequence of int
        Tokens (visual tokens) that each layer processes.
    full : int
        Visual tokens of the unreduced prompt.
    """
    if not cell.has_budget or not full:
        return None
    if cell.budget.mean is not None:
        return sum(visual) / len(visual) / full
    shape = llm_shape(cell.model)
    text = tokens[0] - visual[0]
    reduced, whole = (prefill_flops(shape, n, cell.model.mlp_add) for n in (tokens, [full + text] * len(tokens)))
    return reduced / whole


def _values(cell: Cell) -> dict[str, Any]:
    values = dict(cell.method.args)
    if cell.method.schedule is not None:
        numbers = {name: tuple(v) if isinstance(v, list) else v for name, v in cell.method.schedule.items()}
        kind = str(numbers.pop("kind"))
        values["schedule"] = SCHEDULES[kind](**numbers)
    return values


def _make(cell: Cell, cls: type[Reducer], values: dict[str, Any], ratio: float | None) -> Reducer:
    """Build with one ratio; a method's own default stands where none was given."""
    if ratio is not None:
        values = values | {"ratio": ratio}
    _check_types(cls, values)
    return build(cell.method.target, **values)


def _check_types(cls: type[Reducer], values: Mapping[str, Any]) -> None:
    """Refuse values of another type than their field, which a dataclass would take."""
    hints = get_type_hints(cls)
    for field in fields(cls):
        if field.name in values and not _fits(values[field.name], hints[field.name]):
            value, allowed = values[field.name], _allowed(hints[field.name])
            raise WinnowError(f"reducer.{field.name}={value} is not allowed: choose {allowed}")


def _fits(value: object, hint: Any) -> bool:
    if hint is Any:
        return True
    origin = get_origin(hint)
    if origin is Literal:
        return value in get_args(hint)
    if origin in (Union, types.UnionType):
        return any(_fits(value, part) for part in get_args(hint))
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    kind = origin or hint
    return not isinstance(kind, type) or isinstance(value, kind)


def _allowed(hint: Any) -> str:
    origin = get_origin(hint)
    if origin is Literal:
        return " | ".join(map(str, get_args(hint)))
    if origin in (Union, types.UnionType):
        return " | ".join(_allowed(part) for part in get_args(hint))
    if hint is type(None):
        return "null"
    return f"a value of type {getattr(hint, '__name__', hint)}"


def _solve(cell: Cell, shape: LLMShape, make: Callable[[float], Reducer]) -> Solution:
    """Solve the ratio for the budget on the model's nominal prompt; adaptive methods with forced rounds."""
    if "ratio" not in {field.name for field in fields(find(cell.method.target))}:
        raise WinnowError(
            f"reducer={cell.method.name} has no field 'ratio', so a budget has nothing to solve: leave it out"
        )
    visual, text = _nominal(cell.model)
    target = cell.budget.mean if cell.budget.mean is not None else cell.budget.flops
    assert target is not None

    def measure(layers: list[int]) -> float:
        value = budget_of(cell, [n + text for n in layers], layers, visual)
        assert value is not None
        return value

    return solve(
        lambda ratio: make(ratio).plan([_grid(cell.model)], shape.layers), measure, target, LOWEST, 1.0, cell.budget.tol
    )


def _check_drops(cell: Cell, reducer: Reducer, shape: LLMShape) -> None:
    """Refuse a method that takes a ratio below 1 and still keeps everything, as that would pass for a result."""
    visual, _ = _nominal(cell.model)
    plan = reducer.plan([_grid(cell.model)], shape.layers)
    if cell.method.takes_ratio and cell.method.name != "custom" and min(plan) == visual:
        ratio = getattr(reducer, "ratio", None)
        if ratio != 1 and round(visual * (ratio or 0)) != visual:
            raise WinnowError(
                f"reducer={cell.method.name} drops nothing in the {shape.layers} layers of model={cell.model.name} "
                f"({_describe(reducer, shape.layers)}): choose another schedule, or reducer=none"
            )


def _describe(reducer: Reducer, depth: int) -> str:
    return f"schedule {reducer.knobs(depth).get('schedule', 'none')}"


def _grid(model: ModelConfig) -> tuple[int, int]:
    """Frames and tokens per frame of the nominal prompt."""
    return model.nominal.frames, model.nominal.tokens_per_frame


def _nominal(model: ModelConfig) -> tuple[int, int]:
    """Visual and text tokens of the nominal prompt."""
    nominal = model.nominal
    return nominal.frames * nominal.tokens_per_frame, nominal.text

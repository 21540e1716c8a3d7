"""Refuses methods that would keep every visual token without being told to, as that would pass for a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.compose import CUSTOM
from winnow.harness.config.compose_parts import PARTS
from winnow.harness.config.schedules import KINDS
from winnow.harness.plan.nominal import Nominal
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.none import NoReduction


def check_drops(cell: Cell, reducer: Any, prompt: Nominal, planned: Sequence[int]) -> None:
    """Hold a method to its plan; of two methods, each to what reaches it.

    Raises
    ------
    WinnowError
        Says why nothing is dropped, and what would.
    """
    method, left = cell.method, min(planned)
    if not method.parts:
        _check(cell, method, reducer, prompt, (prompt.visual, left), "reducer")
        return
    counts = ((prompt.visual, planned[0]), (planned[0], left))
    for at, part, made, count in zip(PARTS, method.parts, reducer.parts(), counts, strict=True):
        _check(cell, part, made, prompt, count, f"reducer.{at}.name")


def _check(cell: Cell, method: Method, reducer: Reducer, prompt: Nominal, count: tuple[int, int], key: str) -> None:
    present, left = count
    if left < present or not present or not _ought_to_drop(method, reducer, prompt, present):
        return
    depth = prompt.shape.layers
    where = reducer.knobs(depth).get("schedule")
    raise WinnowError(
        f"{key}={method.name} drops nothing in the {depth} layers of model={cell.model.name}"
        f"{f' at {where}' if where else ''}: {_mend(method, reducer, prompt, key)}, or {key}=none"
    )


def _ought_to_drop(method: Method, reducer: Any, prompt: Nominal, present: int) -> bool:
    """Whether it was not told to keep all; one that looks at the content may drop what a plan cannot foresee."""
    if isinstance(reducer, NoReduction):
        return False
    if getattr(reducer, "prune", "visual") != "visual":  # drops text, which a plan of visual tokens does not show
        return False
    ratio = getattr(reducer, "ratio", None)
    if ratio is not None and round(present * ratio) >= present:
        return False
    if not reducer.adaptive:
        return True
    known = method.takes_ratio and method.name != CUSTOM
    return known and not _drops(reducer, prompt, frames=1)  # some leave films alone, and tasks may hold pictures


def _drops(reducer: Reducer, prompt: Nominal, frames: int) -> bool:
    span = prompt.span._replace(frames=frames)
    return min(reducer.plan([span], prompt.shape.layers, prompt.tower)) < span.tokens


def _mend(method: Method, reducer: Any, prompt: Nominal, key: str) -> str:
    """What would make it drop some: more frames, another knob, another place, a smaller share."""
    at = key.removesuffix("name").removesuffix("reducer")
    if prompt.span.frames == 1 and _drops(reducer, prompt, frames=2):
        return "it compares frames, of which this prompt has one; give the model two or more"
    mends = [f"change {at or 'reducer.'}{name}" for name in reducer.native if getattr(reducer, name) is not None]
    if method.schedule is not None:
        names = " and ".join(f"{at}schedule.{name}" for name in KINDS[method.schedule["kind"]] if name != "of")
        mends.append(f"set {names} within 1..{prompt.shape.layers}")
    elif not mends:
        mends.append(f"choose a smaller {at}ratio" if method.takes_ratio else "choose settings that drop some")
    return ", or ".join(mends)

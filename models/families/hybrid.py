"""Moves schedules to where a hybrid model has the attention that a method reads.

Of a model whose layers mostly carry a state in place of attention, each `every`-th layer has attention, counted from 1.
Tokens may be dropped before or inside any layer; statistics of attention are those of layers that have some.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.probes import Change
from winnow.reducers.core.schedule import Cuts, K


def attentive(depth: int, every: int) -> list[int]:
    """The layers that have attention."""
    return list(range(every - 1, depth, every))


def unread(reducer: Reducer, depth: int, every: int) -> list[int]:
    """Layers whose attention a method reads and that have none."""
    there = {*attentive(depth, every)}
    return sorted({at for probe, at in reducer.probes(depth) if not isinstance(probe, Change)} - there)


def fitted(reducer: Reducer, depth: int, every: int) -> Reducer:
    """The method with each number of a schedule `k` or `cuts` moved to the nearest layer that lets it read attention.

    Parameters
    ----------
    reducer : Reducer
        The method; its parts are looked at one by one. Other kinds of schedules stay as they are.
    depth : int
        Layers of the LLM.
    every : int
        See the module; with 1 nothing moves.

    Returns
    -------
    Reducer
        The method itself where nothing has to move.
    """
    if every == 1 or not unread(reducer, depth, every):
        return reducer
    values = {field.name: getattr(reducer, field.name) for field in fields(reducer)}
    parts = {name: fitted(value, depth, every) for name, value in values.items() if isinstance(value, Reducer)}
    made = replace(reducer, **{name: part for name, part in parts.items() if part is not values[name]})
    schedule = values.get("schedule")
    numbers = schedule.resolve(depth).acts if isinstance(schedule, K | Cuts) else ()
    for place, number in enumerate(numbers):
        made = min(_tried(made, place, depth), key=lambda one: _misses(one, place, number, depth, every))
    return made


def _tried(reducer: Reducer, place: int, depth: int) -> Iterator[Reducer]:
    """The method with one of its schedule's numbers at each layer where it can stand."""
    schedule = vars(reducer)["schedule"].resolve(depth)
    for layer in range(1, depth):
        cuts = (*schedule.acts[:place], layer, *schedule.acts[place + 1 :])
        moved: dict[str, Any] = {"schedule": K(layer) if isinstance(schedule, K) else Cuts(cuts)}
        try:
            one = replace(reducer, **moved)
            one.probes(depth)
        except WinnowError:
            continue
        yield one


def _misses(reducer: Reducer, place: int, number: int, depth: int, every: int) -> tuple[int, int, int]:
    """How bad a schedule is: layers that cannot be read, how far it has moved, and the earlier of two as near."""
    layer = vars(reducer)["schedule"].acts[place]
    return len(unread(reducer, depth, every)), abs(layer - number), -layer

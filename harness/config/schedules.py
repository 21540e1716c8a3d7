"""Which schedule a reducer gets: its kind must be one that the reducer takes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from winnow.harness.config.choices import listed, options
from winnow.harness.config.messages import unknown_option
from winnow.reducers.core.errors import WinnowError, choose
from winnow.reducers.core.schedule import SCHEDULES, Rounds

NONE, BY_REDUCER, CUSTOM = "none", "by_reducer", "custom"
KINDS = {NONE: ()} | {kind: tuple(f.name for f in fields(cls)) for kind, cls in SCHEDULES.items()}
"""Kind -> the names of its numbers."""
LISTS = {kind: tuple(f.name for f in fields(cls) if str(f.type).startswith("tuple")) for kind, cls in SCHEDULES.items()}
LISTS[NONE] = ()
"""Kind -> those of its numbers that are several."""
ENDS = {"window": ("l1", "l2"), "rounds": ("start", "end")}
"""Kind -> the layers between which it acts."""
FITS = "fits"
"""Depth of the LLM that the absolute numbers of a default were chosen for."""


def choose_schedule(
    reducer: str, kinds: Sequence[str], node: dict[str, Any], depth: int | None = None
) -> dict[str, Any] | None:
    """Pick the reducer's schedule out of the configuration.

    Parameters
    ----------
    reducer : str
        Its name, for messages.
    kinds : sequence of str
        The kinds that it takes; empty: none at all.
    node : dict
        The group ``schedule``: one kind with its numbers, or ``by_reducer`` with numbers for several kinds.
    depth : int or None
        Layers of the LLM: a default that it is too shallow for is scaled. None: not known.

    Raises
    ------
    WinnowError
        If the kind does not fit; lists the schedules that do.
    """
    kind = node.get("kind")
    if kind == BY_REDUCER:
        return _by_reducer(reducer, kinds, node)
    if kind not in KINDS:
        raise WinnowError(f"schedule.kind={kind} is not known: {choose(kind, KINDS)}")
    numbers = {key: value for key, value in node.items() if key not in ("kind", FITS)}
    _check_numbers(kind, numbers)
    if kind == NONE and (not kinds or NONE in kinds):
        return None
    if kind not in kinds:
        fitting = ", ".join(_fitting(kinds)) or "schedule=none"
        raise WinnowError(f"reducer={reducer} takes no schedule of kind '{kind}': choose {fitting}")
    return {"kind": kind, **numbers, **_scaled(node, numbers, depth)}


def _scaled(node: dict[str, Any], numbers: dict[str, Any], depth: int | None) -> dict[str, Any]:
    """What scales a default, numbers that nobody changed, in an LLM that is too shallow for them."""
    untouched = FITS in node and any(listed("schedule", name) == node for name in options("schedule"))
    if depth is None or not untouched or _acts(node["kind"], numbers, depth):
        return {}
    return {"of": node[FITS]}


def _acts(kind: str, numbers: dict[str, Any], depth: int) -> bool:
    try:
        made = SCHEDULES[kind](**numbers).resolve(depth)
    except WinnowError:
        return False
    return not isinstance(made, Rounds) or len(made.forced()) > 0


def _by_reducer(reducer: str, kinds: Sequence[str], node: dict[str, Any]) -> dict[str, Any] | None:
    """Take the first of the reducer's kinds that the schedule offers; no schedule where the reducer needs none."""
    if reducer == CUSTOM:
        fitting = ", ".join(f"schedule={name}" for name in options("schedule") if len(_kinds_of(name)) == 1)
        raise WinnowError(f"reducer=custom does not say which kind of schedule it takes: choose one of {fitting}")
    kind = next((kind for kind in kinds if kind in node and kind != NONE), None)
    if kind:
        if not isinstance(node[kind], dict):
            names = " or ".join(f"schedule.{kind}.{name}" for name in KINDS[kind])
            raise WinnowError(
                f"schedule.{kind}={node[kind]} is not allowed: this schedule has several kinds, say {names}=…"
            )
        _check_numbers(kind, node[kind])
        return {"kind": kind, **node[kind]}
    if not kinds or NONE in kinds:
        return None
    offered = ", ".join(key for key in node if key != "kind")
    fitting = ", ".join(_fitting(kinds))
    raise WinnowError(
        f"this schedule offers the kinds {offered}, but reducer={reducer} takes {', '.join(kinds)}: choose {fitting}"
    )


def _check_numbers(kind: str, numbers: dict[str, Any]) -> None:
    for name, value in numbers.items():
        if name not in KINDS[kind]:
            raise WinnowError(unknown_option(f"schedule.{name}", list(KINDS[kind])))
        if name in LISTS[kind]:
            _check_list(name, value)
        elif not _is_number(value) and not (name == "of" and value is None):
            raise WinnowError(f"schedule.{name}={value} is not allowed: give {_wanted(name)}")
    if kind in ENDS:
        _check_ends(numbers, *ENDS[kind])


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _wanted(name: str) -> str:
    return f"whole layer numbers, one for schedule.{name}"


def _check_list(name: str, value: object) -> None:
    """Refuse what is no list of layers, and layers that do not rise; below 0 they count from a depth not known yet."""
    if not isinstance(value, list) or not value or not all(map(_is_number, value)):
        raise WinnowError(
            f"schedule.{name}={value} is not allowed: give whole layer numbers in a list, schedule.{name}=[2,4]"
        )
    if min(value) > 0 and value != (rising := sorted(set(value))):
        said = ",".join(map(str, rising))
        raise WinnowError(f"schedule.{name}={value} is not allowed: layers must rise, say schedule.{name}=[{said}]")


def _check_ends(numbers: dict[str, Any], first: str, last: str) -> None:
    """Refuse an end that lies before its beginning; below 0 it counts from a depth not known yet."""
    low, high = (numbers.get(name) for name in (first, last))
    if low is not None and high is not None and low > high > 0:
        raise WinnowError(
            f"schedule.{last}={high} lies before schedule.{first}={low}: set schedule.{last} to {low} or more, or "
            f"schedule.{first} to {high} or less"
        )


def _fitting(kinds: Sequence[str]) -> list[str]:
    """List the schedules of one of the kinds, as command-line words."""
    return [f"schedule={name}" for name in options("schedule") if set(kinds) & _kinds_of(name)]


def _kinds_of(name: str) -> set[str]:
    """The kinds that a schedule's YAML offers."""
    found = listed("schedule", name)
    return set(found) - {"kind"} if found["kind"] == BY_REDUCER else {found["kind"]}

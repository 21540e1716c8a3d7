"""Whether a value read from a file is what a type says: JSON, whoever wrote it, against a ``TypedDict``."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, NotRequired, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

NAMES = {dict: "no mapping", list: "no list", str: "no text", int: "no whole number", float: "no number"}
LARGEST = 2**63
"""Of whole numbers: what tables of numbers hold."""
SHOWN = 40
Fault = tuple[str, str] | None
"""Where a value is not as its type, and what is there; None: all of it is."""
Check = Callable[[Any], Fault]
ANYTHING: tuple[frozenset[type], Check] = frozenset(), lambda value: None


def misfit(value: object, kind: Any) -> str:
    """Say what of a value is not as its type; empty: all of it is. Keys that a ``TypedDict`` lacks may be there.

    Parameters
    ----------
    value : object
        Of dict, list, str, int, float, bool and None.
    kind : type
        Of these types, their unions and ``TypedDict``; what stands second in ``Annotated`` is what is asked for.
    """
    fault = _check(kind)(value)
    return f"{fault[0].removeprefix('.') or 'it'} {fault[1]}" if fault else ""


@cache
def _check(kind: Any) -> Check:
    """The check of a type, made once: a store holds thousands of results."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return lambda value: None
    if origin in (Required, NotRequired, Annotated):
        return _check(inner[-1])
    if origin in (Union, UnionType):
        return _any_of([_check(one) for one in inner])
    if is_typeddict(kind):
        return _typed_dict(kind)
    if origin is dict:
        return _members(dict, _check(inner[1]), lambda value: value.items(), ".{}")
    if origin is list:
        return _members(list, _check(inner[0]), enumerate, "[{}]")
    return (
        _number(kind) if kind in (int, float) else lambda value: None if isinstance(value, kind) else _no(value, kind)
    )


def _no(value: object, kind: Any) -> Fault:
    return "", f"is {repr(value)[:SHOWN]}, {NAMES.get(kind, 'not null' if kind is NoneType else kind)}"


def _number(kind: Any) -> Check:
    def check(value: Any) -> Fault:
        if type(value) is int:  # no bool
            return None if abs(value) < LARGEST else _no(value, kind)
        return None if kind is float and isinstance(value, float) else _no(value, kind)

    return check


def _any_of(checks: list[Check]) -> Check:
    def check(value: Any) -> Fault:
        first = checks[0](value)
        return None if first is None or any(one(value) is None for one in checks[1:]) else first

    return check


def _members(plain: Any, check_one: Check, pairs: Callable[[Any], Any], place: str) -> Check:
    def check(value: Any) -> Fault:
        if not isinstance(value, plain):
            return _no(value, plain)
        for name, one in pairs(value):
            if fault := check_one(one):
                return place.format(name) + fault[0], fault[1]
        return None

    return check


def _typed_dict(kind: Any) -> Check:
    def check(value: Any) -> Fault:
        if not isinstance(value, dict):
            return _no(value, dict)
        checks, required = _keys(kind)  # not before, as it may hold itself
        if not required <= value.keys():
            return "", f"lacks {', '.join(name for name in checks if name in required - value.keys())}"
        for name, one in value.items():
            plain, check = checks.get(name, ANYTHING)
            if type(one) not in plain and (fault := check(one)):
                return f".{name}{fault[0]}", fault[1]
        return None

    return check


@cache
def _keys(kind: Any) -> tuple[dict[str, tuple[frozenset[type], Check]], set[str]]:
    """The checks of a ``TypedDict``'s keys, and those that must be there, by what its annotations say of that too.

    Beside each check stand the types of values that pass it without being looked at, as most are of these.
    """
    hints = get_type_hints(kind, include_extras=True)
    said = {name: get_origin(hint) for name, hint in hints.items()}
    required = {name for name in hints if said[name] is Required or name in kind.__required_keys__}
    required -= {name for name in hints if said[name] is NotRequired}
    return {name: (_plain(hint), _check(hint)) for name, hint in hints.items()}, required


@cache
def _plain(kind: Any) -> frozenset[type]:
    """The types whose every value a check lets pass; whole numbers have a bound."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Required, NotRequired, Annotated):
        return _plain(inner[-1])
    if origin in (Union, UnionType):
        return frozenset().union(*map(_plain, inner))
    return frozenset({kind} & {str, float, bool, NoneType})

"""Checks values against the annotations of a dataclass, which a dataclass itself does not."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from winnow.reducers.core.errors import WinnowError


@cache
def hints_of(cls: type) -> Mapping[str, Any]:
    """The annotations of a class, resolved once."""
    return get_type_hints(cls)


def choices_of(hint: Any) -> tuple[object, ...]:
    """What a field of fixed choices may be, None among it where it may be that; nothing for other fields."""
    parts = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if any(get_origin(part) is not Literal and part is not type(None) for part in parts):
        return ()
    return tuple(choice for part in parts for choice in get_args(part) or (None,))


def check_types(cls: type, values: Mapping[str, Any], prefix: str) -> None:
    """Refuse values of another type than their field.

    Raises
    ------
    WinnowError
        Names the value and what is allowed.
    """
    hints = hints_of(cls)
    for field in fields(cls):
        if field.name in values and not _fits(values[field.name], hints[field.name]):
            value, allowed = values[field.name], _allowed(hints[field.name])
            raise WinnowError(f"{prefix}{field.name}={value} is not allowed: choose {allowed}")


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
    if isinstance(value, tuple) and get_args(hint):
        return all(_fits(item, get_args(hint)[0]) for item in value)
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
    if get_args(hint):
        return f"a list of {_allowed(get_args(hint)[0])}"
    return f"a value of type {getattr(hint, '__name__', hint)}"

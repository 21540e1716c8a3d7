"""Whether a value read from a file is what a type says: JSON, whoever wrote it, against a ``TypedDict``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, NotRequired, Required, Union, get_args, get_origin, get_type_hints, is_typeddict

NAMES = {dict: "no mapping", list: "no list", str: "no text", int: "no whole number", float: "no number"}
LARGEST = 2**63
"""Of whole numbers: what tables of numbers hold."""
SHOWN = 40


def misfit(value: object, kind: Any, at: str = "it") -> str:
    """Say what of a value is not as its type; empty: all of it is. Keys that a ``TypedDict`` lacks may be there.

    Parameters
    ----------
    value : object
        Of dict, list, str, int, float, bool and None.
    kind : type
        Of these types, their unions and ``TypedDict``; what stands second in ``Annotated`` is what is asked for.
    at : str
        Where the value stands.
    """
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return ""
    if origin in (Required, NotRequired, Annotated):
        return misfit(value, inner[-1], at)
    if origin in (Union, UnionType):
        found = [misfit(value, one, at) for one in inner]
        return found[0] if all(found) else ""
    plain = dict if is_typeddict(kind) else origin or kind
    if not _is(value, plain):
        return f"{at} is {repr(value)[:SHOWN]}, {NAMES.get(plain, 'not null')}"
    return next(filter(None, _inside(value, kind, inner, "" if at == "it" else at)), "")


def _is(value: object, plain: Any) -> bool:
    if plain in (int, float):
        whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < LARGEST
        return whole or (plain is float and isinstance(value, float))
    return value is None if plain is NoneType else isinstance(value, plain)


def _inside(value: Any, kind: Any, inner: tuple[Any, ...], at: str) -> Iterator[str]:
    """What is wrong with the members of a value."""
    if is_typeddict(kind):
        hints, required = _hints(kind)
        lacking = [name for name in hints if name in required and name not in value]
        yield f"{at or 'it'} lacks {', '.join(lacking)}" if lacking else ""
        yield from (
            misfit(value[name], hint, f"{at}.{name}".strip(".")) for name, hint in hints.items() if name in value
        )
    elif isinstance(value, dict):
        yield from (misfit(one, inner[1], f"{at}.{name}".strip(".")) for name, one in value.items())
    elif isinstance(value, list):
        yield from (misfit(one, inner[0], f"{at}[{place}]") for place, one in enumerate(value))


@cache
def _hints(kind: Any) -> tuple[dict[str, Any], set[str]]:
    """The types of a ``TypedDict``'s keys, and those that must be there, with what its annotations say of that."""
    hints = get_type_hints(kind, include_extras=True)
    said = {name: get_origin(hint) for name, hint in hints.items()}
    required = {name for name in hints if said[name] is Required or name in kind.__required_keys__}
    return hints, {name for name in required if said[name] is not NotRequired}

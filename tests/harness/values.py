"""What classes of values say of themselves, and values as a file gives them."""

from dataclasses import MISSING, fields, is_dataclass, replace
from typing import Any


def usual(cls: type, frozen: bool = True) -> dict[str, Any]:
    """What is meant where nothing is said: the defaults of a dataclass, whose values nobody changes if `frozen`."""
    assert is_dataclass(cls) and cls.__dataclass_params__.frozen is frozen  # type: ignore[attr-defined]
    made = {one.name: one.default if one.default_factory is MISSING else one.default_factory() for one in fields(cls)}
    return {name: value for name, value in made.items() if value is not MISSING}


def anew(value: Any) -> Any:
    """An equal value of words that are not the very ones of the code, as where they were read from a file."""
    if isinstance(value, str):
        return "".join([*value])
    if isinstance(value, dict):
        return {anew(key): anew(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(anew, value))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: anew(getattr(value, one.name)) for one in fields(value) if one.init})
    return value

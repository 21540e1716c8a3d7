"""What classes of values say of themselves."""

from dataclasses import MISSING, fields, is_dataclass
from typing import Any


def usual(cls: type, frozen: bool = True) -> dict[str, Any]:
    """What is meant where nothing is said: the defaults of a dataclass, whose values nobody changes if `frozen`."""
    assert is_dataclass(cls) and cls.__dataclass_params__.frozen is frozen  # type: ignore[attr-defined]
    made = {one.name: one.default if one.default_factory is MISSING else one.default_factory() for one in fields(cls)}
    return {name: value for name, value in made.items() if value is not MISSING}

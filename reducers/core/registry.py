"""From a dotted name to a method, for Winnow's own methods and for anybody else's."""

from __future__ import annotations

import importlib
from dataclasses import fields, is_dataclass

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError


def find(target: str) -> type[Reducer]:
    """Import the class that ``module:Class`` names.

    Raises
    ------
    WinnowError
        If there is no such class, or if it is not a reducer.
    """
    module, _, name = target.partition(":")
    if not name:
        raise WinnowError(f"reducer target '{target}' is not of the form their.package:Class")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise WinnowError(f"reducer target '{target}' cannot be imported: {error}") from error
    if not (isinstance(found, type) and issubclass(found, Reducer) and is_dataclass(found)):
        raise WinnowError(f"reducer target '{target}' is not a dataclass derived from reducers.Reducer")
    return found


def build(target: str, **values: object) -> Reducer:
    """Make a method from its hyper-parameters.

    Raises
    ------
    WinnowError
        If a value names no field; lists the fields.
    """
    cls = find(target)
    known = {field.name for field in fields(cls)}
    for name in values:
        if name not in known:
            raise WinnowError(f"{target} has no parameter '{name}': choose {', '.join(sorted(known))}")
    return cls(**values)

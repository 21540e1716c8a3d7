"""The reduction methods: pure tensor maths on torch alone, one method a file, no model names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from reducers.base import Reducer as Reducer
    from reducers.base import Scorer as Scorer
    from reducers.errors import UnsupportedError as UnsupportedError
    from reducers.errors import WinnowError as WinnowError
    from reducers.layout import Grid as Grid
    from reducers.layout import Layout as Layout
    from reducers.layout import Span as Span
    from reducers.probes import Rows as Rows
    from reducers.reduction import Reduction as Reduction
    from reducers.reduction import View as View

_HOMES = {
    "base": ("Reducer", "Scorer"),
    "errors": ("UnsupportedError", "WinnowError"),
    "layout": ("Grid", "Layout", "Span"),
    "probes": ("Rows",),
    "reduction": ("Reduction", "View"),
}


def __getattr__(name: str) -> Any:
    """Import on first use: errors and schedules are read where torch, which takes seconds, is not needed."""
    for module, names in _HOMES.items():
        if name in names:
            import importlib

            return getattr(importlib.import_module(f"reducers.{module}"), name)
    raise AttributeError(f"module 'reducers' has no attribute '{name}'")

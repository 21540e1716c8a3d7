"""Types and shared maths of the reduction methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from winnow.reducers.core.base import Reducer as Reducer
    from winnow.reducers.core.base import Scorer as Scorer
    from winnow.reducers.core.entrance import Chooser as Chooser
    from winnow.reducers.core.errors import UnsupportedError as UnsupportedError
    from winnow.reducers.core.errors import WinnowError as WinnowError
    from winnow.reducers.core.layout import Grid as Grid
    from winnow.reducers.core.layout import Layout as Layout
    from winnow.reducers.core.layout import Span as Span
    from winnow.reducers.core.probes import Rows as Rows
    from winnow.reducers.core.reduction import Reduction as Reduction
    from winnow.reducers.core.reduction import View as View
    from winnow.reducers.core.site import Site as Site
    from winnow.reducers.core.tower import Tower as Tower
    from winnow.reducers.core.tower import TowerView as TowerView

_HOMES = {
    "base": ("Reducer", "Scorer"),
    "entrance": ("Chooser",),
    "errors": ("UnsupportedError", "WinnowError"),
    "layout": ("Grid", "Layout", "Span"),
    "probes": ("Rows",),
    "reduction": ("Reduction", "View"),
    "site": ("Site",),
    "tower": ("Tower", "TowerView"),
}


def __getattr__(name: str) -> Any:
    """Import on first use: errors and schedules are read where torch, which takes seconds, is not needed."""
    for module, names in _HOMES.items():
        if name in names:
            import importlib

            return getattr(importlib.import_module(f"winnow.reducers.core.{module}"), name)
    raise AttributeError(f"module 'winnow.reducers.core' has no attribute '{name}'")

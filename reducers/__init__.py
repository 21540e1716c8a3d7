"""The reduction methods: pure tensor maths on torch alone, one method a file, no model names."""

from reducers.base import Reducer, Scorer
from reducers.errors import UnsupportedError, WinnowError
from reducers.layout import Grid, Layout, Span
from reducers.probes import Rows
from reducers.reduction import Reduction, View

__all__ = [
    "Grid",
    "Layout",
    "Reducer",
    "Reduction",
    "Rows",
    "Scorer",
    "Span",
    "UnsupportedError",
    "View",
    "WinnowError",
]

"""Where output goes: results to standard output, progress to standard error."""

from __future__ import annotations

import sys

from rich.console import Console

STATUS = Console(file=sys.__stderr__)
"""Bound to the real standard error, so that it shows while libraries are kept quiet."""


def output() -> Console:
    """The console for results, never narrower than a table, which would be cut off."""
    return Console(width=max(Console().width, 170))

"""The console for results."""

from __future__ import annotations

from rich.console import Console


def output() -> Console:
    """The console for results, never narrower than a table, which would be cut off."""
    return Console(width=max(Console().width, 170))

"""What ``winnow tables NAME...`` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from winnow.harness.config.preset import load, names
from winnow.harness.config.preset_cells import OWN
from winnow.harness.results.paper.cell import Table
from winnow.harness.results.paper.formats import Form
from winnow.harness.results.paper.show import show
from winnow.harness.results.paper.table import build
from winnow.harness.run.result import Result
from winnow.reducers.core.errors import WinnowError

ALL = "all"


def tables_of(words: Sequence[str], results: Sequence[Result], folder: Path) -> list[Table]:
    """Build the tables that some words ask for.

    Parameters
    ----------
    words : sequence of str
        Names of tables, or ``all``, and the overrides that their runs were made with (``smoke=true``, ``limit=100``).
    results : sequence of dict
    folder : Path
        Where the runs lie.

    Raises
    ------
    WinnowError
        For names that are no tables, and overrides alone.
    """
    asked = [word for word in words if "=" not in word]
    given = dict(word.partition("=")[::2] for word in words if "=" in word)
    smoke = given.pop("smoke", "false").lower() in ("true", "1", "yes")
    wrong = next((key for key in given if key in OWN), None)
    if wrong:
        raise WinnowError(f"{wrong}={given[wrong]} is for runs: a table shows all of its rows")
    if not asked:
        raise WinnowError(f"name a table, or all: {', '.join(names())}")
    extra = tuple(f"{key}={value}" for key, value in given.items())
    chosen = names() if asked == [ALL] else asked
    return [build(load(name), results, folder, smoke, extra) for name in chosen]


def show_tables(words: Sequence[str], results: Sequence[Result], folder: Path, form: Form) -> None:
    """Print tables of the papers."""
    for table in tables_of(words, results, folder):
        show(table, form)

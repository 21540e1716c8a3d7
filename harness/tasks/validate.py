"""Looks through a benchmark's rows before a model is loaded: one line names the first row that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from winnow.harness.tasks.benchmark import Benchmark
from winnow.reducers.core.errors import WinnowError

KINDS: dict[str, Callable[[Any], bool]] = {
    "text": lambda value: isinstance(value, str),
    "list": lambda value: isinstance(value, list) and bool(value),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "any": lambda value: value is not None,
}


def validate(benchmark: Benchmark, rows: Any) -> None:
    """Refuse rows without answer, of a wrong type or an unknown category, and two rows of one name.

    Parameters
    ----------
    benchmark : Benchmark
    rows : datasets.Dataset
        Of the task's split.

    Raises
    ------
    WinnowError
        Names the task, the row and the value.
    """
    wanted = dict(benchmark.columns) | dict.fromkeys(benchmark.categories, "text")
    wanted |= {name: "any" for name in (*benchmark.ident, benchmark.answer) if name and name not in wanted}
    for column, kind in wanted.items():
        if column not in rows.column_names:
            raise _error(benchmark, f"has no column '{column}' (it has {', '.join(sorted(rows.column_names))})")
        _check(benchmark, column, kind, rows[column])
    if benchmark.ident:
        _check_names(benchmark, zip(*(rows[name] for name in benchmark.ident), strict=True))


def _check(benchmark: Benchmark, column: str, kind: str, values: Iterable[Any]) -> None:
    allowed = benchmark.categories.get(column)
    for number, value in enumerate(values):
        if column == benchmark.answer and value in (None, "", []):
            raise _error(benchmark, f"row {number} has no answer")
        if not KINDS[kind](value):
            raise _error(benchmark, f"row {number} has {column}={value!r}, which is no {kind}")
        if allowed and value not in allowed:
            raise _error(benchmark, f"row {number} has an unknown {column} {value!r}: known are {', '.join(allowed)}")


def _check_names(benchmark: Benchmark, names: Iterable[tuple[Any, ...]]) -> None:
    first: dict[tuple[Any, ...], int] = {}
    for number, name in enumerate(names):
        if name in first:
            title = ", ".join(f"{key}={value}" for key, value in zip(benchmark.ident, name, strict=True))
            raise _error(benchmark, f"rows {first[name]} and {number} are both {title}")
        first[name] = number


def _error(benchmark: Benchmark, what: str) -> WinnowError:
    source = benchmark.repo or benchmark.place
    return WinnowError(f"task '{benchmark.task}': {what}; its data are damaged: fetch {source} again")

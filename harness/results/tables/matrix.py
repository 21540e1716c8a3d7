"""One row per method, one column per benchmark: the table of a sweep over tasks, whose cells are runs of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean

from winnow.harness.run.result import Result
from winnow.harness.score.pooled import figures

NAMED = ("model", "reducer", "at", "ratio")
APART = ("label", "seed", "limit", "dtype", "attn", "downsample", "stress")
"""What two runs of one method and ratio may differ in beside their tasks."""


@dataclass
class _Line:
    """The runs of a method, none of which has a benchmark of another."""

    key: tuple[str, ...]
    texts: dict[str, str]
    shares: list[float] = field(default_factory=list)


def by_method(results: Sequence[Result], rows: Sequence[dict[str, str]], tasks: Sequence[str]) -> list[dict[str, str]]:
    """Fold the runs of a method into one row.

    Parameters
    ----------
    results, rows : sequence
        Entry i of both is the same run, as a result and as a row of the table of runs.
    tasks : sequence of str
        The benchmarks, in the order of their columns.

    Returns
    -------
    list of dict
        Names of the method, the mean share of visual tokens over its runs, and a figure per benchmark; two runs of one
        method that have a benchmark in common stay apart.
    """
    lines: list[_Line] = []
    alike: dict[tuple[str, ...], list[_Line]] = {}
    for result, row in zip(results, rows, strict=True):
        key = tuple(row[name] for name in NAMED) + tuple(repr(result.get(name)) for name in APART)
        mine = {name: row[name] for name in figures(result) if name in tasks}
        line = next((one for one in alike.setdefault(key, []) if not one.texts.keys() & mine.keys()), None)
        if line is None:
            lines.append(line := _Line(key, {}))
            alike[key].append(line)
        line.texts |= mine
        line.shares += [result["shares"]["mean"]] if result["shares"] else []
    return [_row(line, tasks) for line in lines]


def _row(line: _Line, tasks: Sequence[str]) -> dict[str, str]:
    share = f"{100 * mean(line.shares):.1f}" if line.shares else ""
    return (
        dict(zip(NAMED, line.key, strict=False)) | {"mean": share} | {name: line.texts.get(name, "") for name in tasks}
    )


def spread(results: Sequence[Result], tasks: Sequence[str]) -> bool:
    """Whether the benchmarks of a table lie in several runs of a method."""
    return any(set(tasks) - figures(result).keys() for result in results) and len(tasks) > 1

"""One row per method, one column per benchmark: the table of a sweep over tasks, whose cells are runs of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import mean

from winnow.harness.run.result import Result
from winnow.harness.score.pooled import figures

NAMED = ("model", "reducer", "at", "ratio")
APART = ("limit", "seed", "dtype", "attn")
"""What two runs of one method and ratio may differ in beside their tasks: shown where they do."""
TOLD = ("label", "downsample", "stress")
"""The same, in the method's name already."""


@dataclass
class _Line:
    """The runs of a method, none of which has a benchmark of another."""

    key: tuple[str, ...]
    texts: dict[str, str]
    told: dict[str, str]
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
        method that have a benchmark in common stay apart, told by what differs: limit, seed, dtype, attention, or
        their first run.
    """
    lines: list[_Line] = []
    alike: dict[tuple[str, ...], list[_Line]] = {}
    for result, row in zip(results, rows, strict=True):
        key = tuple(row[name] for name in NAMED) + tuple(repr(result.get(name)) for name in (*APART, *TOLD))
        mine = {name: row[name] for name in figures(result) if name in tasks}
        line = next((one for one in alike.setdefault(key, []) if not one.texts.keys() & mine.keys()), None)
        if line is None:
            told = {name: _told(result, name) for name in APART} | {"run": result["id"]}
            lines.append(line := _Line(key, {}, told))
            alike[key].append(line)
        line.texts |= mine
        line.shares += [result["shares"]["mean"]] if result["shares"] else []
    apart = differing(results)
    named = {(line.key[: len(NAMED)], *(line.told[name] for name in apart)) for line in lines}
    apart += [] if len(named) == len(lines) else ["run"]
    return [_row(line, tasks, apart) for line in lines]


def differing(results: Iterable[Result]) -> list[str]:
    """What of `APART` is not the same in all runs."""
    every = [*results]
    return [name for name in APART if len({_told(result, name) for result in every}) > 1]


def with_differing(results: Sequence[Result], rows: Iterable[dict[str, str]]) -> list[dict[str, str]]:
    """Rows of runs with what is not the same in all of them, behind the ratio."""
    apart = differing(results)
    found = []
    for result, row in zip(results, rows, strict=True):
        names = [*row]
        at = names.index("ratio") + 1
        more = {name: _told(result, name) for name in apart}
        found.append({name: (row | more)[name] for name in [*names[:at], *apart, *names[at:]]})
    return found


def _told(result: Result, name: str) -> str:
    value = result.get(name)
    return str(value) if value is not None else "all" if name == "limit" else ""


def _row(line: _Line, tasks: Sequence[str], apart: Sequence[str]) -> dict[str, str]:
    share = f"{100 * mean(line.shares):.1f}" if line.shares else ""
    told = {name: line.told[name] for name in apart}
    figures_of = {name: line.texts.get(name, "") for name in tasks}
    return dict(zip(NAMED, line.key, strict=False)) | told | {"mean": share} | figures_of


def spread(results: Sequence[Result], tasks: Sequence[str]) -> bool:
    """Whether the benchmarks of a table lie in several runs of a method."""
    return any(set(tasks) - figures(result).keys() for result in results) and len(tasks) > 1

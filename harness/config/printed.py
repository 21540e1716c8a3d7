"""The printed numbers: `results/published/*.csv`, and which of them are misprints."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import winnow
from winnow.harness.config.preset import PaperRow, Preset

FOLDER = Path(winnow.__file__).parent / "published"
SCORES = ("%", "score", "0-5")
"""Units of what a benchmark gives."""
MODELLED = ("FLOPs", "Prefill Time", "Total Memory", "Storing Activation")
SHARE, SPEEDUP, AVERAGE = "Img-Memory", "TTFT speedup", "Avg"


@dataclass(frozen=True)
class Printed:
    """One printed cell.

    Attributes
    ----------
    row, column, unit : str
        Its row's key, its column's name.
    text : str
        As printed.
    value : float or None
    status : str
        ok, missing ("-"), failed ("Failed") or not_reported (an empty cell).
    note : str
        What is wrong with it, if anything is.
    """

    row: str
    column: str
    unit: str
    text: str
    value: float | None
    status: str
    note: str = ""


@cache
def read(name: str) -> list[dict[str, str]]:
    """The lines of one published file."""
    path = FOLDER / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def lines(preset: Preset, row: PaperRow) -> list[dict[str, str]]:
    """The lines of the published file that belong to a row."""
    if preset.published is None or row.row is None:
        return []
    found = [line for line in read(preset.published) if line["row"] == str(row.row)]
    return [line for line in found if all(line[key] == value for key, value in row.at.items())]


def column(preset: Preset, line: dict[str, str]) -> str:
    """The column of a line; of a pivoted table its side-by-side value."""
    return f"{line['metric']} {line[preset.pivot]}" if preset.pivot else line["metric"]


def columns(preset: Preset) -> list[str]:
    """All columns, in the printed order."""
    found = dict.fromkeys(column(preset, line) for row in preset.rows for line in lines(preset, row))
    return list(found) or list(preset.tasks)


def printed(preset: Preset) -> dict[tuple[str, str], Printed]:
    """All printed cells, by row and column."""
    wrong = misprints()
    cells = {}
    for row in preset.rows:
        for line in lines(preset, row):
            name = column(preset, line)
            value = float(line["value_num"]) if line["value_num"] else None
            note = wrong.get((str(preset.published), line["row"], line["metric"]), "")
            cells[row.key, name] = Printed(row.key, name, line["unit"], line["value"], value, line["status"], note)
    return cells


@cache
def misprints() -> dict[tuple[str, str, str], str]:
    """Cells that the papers print wrongly: file, row, metric -> what is wrong, and the right value."""
    return {(line["file"], line["row"], line["metric"]): line["note"] for line in read("misprints")}


def benchmarks(preset: Preset) -> dict[str, list[str]]:
    """Row -> its columns that are run on a benchmark; all where the paper prints none."""
    found: dict[str, list[str]] = {}
    for row in preset.rows:
        here = [column(preset, line) for line in lines(preset, row)] or list(preset.tasks)
        found[row.key] = [name for name in row.tasks or here if name in preset.tasks]
    return found


def group(preset: Preset, row: PaperRow) -> str:
    """The heading that a row stands under."""
    return next((line["group"] for line in lines(preset, row)), "")


def label(preset: Preset, row: PaperRow) -> str:
    """What the paper calls a row."""
    return next((line["row_label"] for line in lines(preset, row)), row.key)


def facts(preset: Preset, row: PaperRow, names: Sequence[str]) -> dict[str, str]:
    """The row's own columns (l1, frames, ...) as printed."""
    line: dict[str, Any] = next(iter(lines(preset, row)), {})
    return {name: line.get(name, "") for name in names}

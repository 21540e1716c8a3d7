"""A paper's table as text: what each cell says, and what stands above and below the table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from string import ascii_lowercase

from winnow.harness.config.printed import MODELLED, SHARE
from winnow.harness.results.paper.cell import EXECUTED, Entry, Line, Table
from winnow.harness.results.tables.sheet import CellText, Sheet
from winnow.harness.score.benchmarks import FAILED

RETAINED = "retained %"
LOST, LIKE_RANDOM = "*", "~"
LEGEND = (
    f"First ours with its 95 % interval, then printed, then the difference. Bold: best of its group. {LOST}: differs "
    "from the unreduced run on the same samples (questions about one video together; Holm over the table, 5 %). "
    f"{LIKE_RANDOM}: cannot be told from random dropping of as many tokens. "
    f"{RETAINED}: accuracy in per cent of the unreduced run's."
)
RASTER = (
    "{}: what is left stands in raster order here; the released code lists it in another one, which positions and "
    "causal attention see: reducer.order=official runs that."
)
WRONG = "A letter marks a number that is printed wrongly, or is not what it seems:"
MODEL_LEGEND = (
    "FLOPs and times are modelled as the papers do (llm-viewer-compat, LLM alone, batch 1), never measured; "
    f"'FLOPs' as the paper schedules the tokens, '{EXECUTED}' as the method really drops them."
)


def sheet(table: Table) -> Sheet:
    """Put a table into words."""
    letters = _letters(table)
    columns = [*table.columns]
    kept = any(line.retained is not None for line in table.lines)
    groups: list[tuple[str, list[tuple[str, list[CellText]]]]] = []
    for line in _pivoted(table):
        cells = [_words(name, line.entries.get(name), table.smoke, letters) for name in columns]
        if kept:
            cells.append(CellText("" if line.retained is None else f"{line.retained:.1f}"))
        if not groups or groups[-1][0] != line.group:
            groups.append((line.group, []))
        groups[-1][1].append((_label(line), cells))
    headings = [_heading(table, name) for name in columns] + ([RETAINED] if kept else [])
    notes = {letter: text for text, letter in letters.items()}
    return Sheet(table.preset.title, headings, groups, _above(table), _below(table), notes, table.commands)


def _pivoted(table: Table) -> list[Line]:
    """Put the settings of one printed row side by side."""
    if not table.preset.pivot:
        return table.lines
    merged: dict[int | None, Line] = {}
    for line in table.lines:
        known = merged.get(line.row.row)
        merged[line.row.row] = replace(known or line, entries={**(known.entries if known else {}), **line.entries})
    return list(merged.values())


def _label(line: Line) -> str:
    return line.label if line.row.set or not line.row.published else f"{line.label} (as printed)"


def _heading(table: Table, name: str) -> str:
    known = "FLOPs" if name == EXECUTED else name
    units = {cell.printed.unit for line in table.lines if (cell := line.entries.get(known)) and cell.printed}
    unit = next(iter(units), "%")
    return f"{name} ({unit})"


def _letters(table: Table) -> dict[str, str]:
    """Footnotes, in the order in which they appear."""
    found = [
        entry.printed.note
        for line in table.lines
        for name in table.columns
        if (entry := line.entries.get(name)) and entry.printed and entry.printed.note
    ]
    names = [*ascii_lowercase, *(a + b for a in ascii_lowercase for b in ascii_lowercase)]
    return dict(zip(dict.fromkeys(found), names, strict=False))


def _words(name: str, entry: Entry | None, smoke: bool, letters: dict[str, str]) -> CellText:
    if entry is None:
        return CellText()
    printed = entry.printed.text if entry.printed else ""
    note = letters[entry.printed.note] if entry.printed and entry.printed.note else ""
    gap = entry.difference
    difference = "" if gap is None or smoke else f"{round(gap, _digits(name)) + 0.0:+.{_digits(name)}f}"
    marks = (LOST if entry.lost else "") + (LIKE_RANDOM if entry.like_random else "")
    return CellText(_ours(name, entry), printed, difference, marks, note, entry.best)


def _digits(name: str) -> int:
    return 2 if name in (*MODELLED, EXECUTED) else 1


def _ours(name: str, entry: Entry) -> str:
    value = entry.ours
    if value is None:
        return ""
    if value.text:
        return value.text
    if name in (*MODELLED, EXECUTED):
        return f"{value.mean:.2f}" if value.mean >= 1 else f"{value.mean:.3g}"
    half = value.half
    return f"{value.mean:.1f}" + (f" ± {half:.1f}" if half is not None and not math.isnan(half) else "")


def _above(table: Table) -> list[str]:
    smoke = (
        "SMOKE: pico on its own questions in the place of every model and benchmark; nothing here compares with print."
    )
    return [smoke] if table.smoke else [f"GATE: {text}" for text in table.gates]


def _below(table: Table) -> list[str]:
    names = set(table.columns)
    found = [LEGEND] if table.preset.tasks else []
    cells = [entry for line in table.lines for entry in line.entries.values()]
    failed = any(entry.ours and entry.ours.text == FAILED for entry in cells)
    found += [f"{FAILED}: too many of the answers could not be read, as the papers say it."] if failed else []
    found += [MODEL_LEGEND] if names & {*MODELLED, EXECUTED} else []
    found += [f"{SHARE}: mean share of visual tokens over the layers, from traces."] if SHARE in names else []
    reasons: dict[str, list[str]] = {}
    for line in table.lines:
        if line.row.published:
            reasons.setdefault(line.row.published, []).append(line.label)
    found += [f"As printed only: {', '.join(dict.fromkeys(who))}: {why}." for why, who in reasons.items()]
    found += [RASTER.format(", ".join(table.sorted_by_place))] if table.sorted_by_place else []
    found += table.preset.notes
    return [*found, *([WRONG] if _letters(table) else [])]


def flat(groups: Sequence[tuple[str, list[tuple[str, list[CellText]]]]]) -> list[tuple[str, list[CellText]]]:
    """All rows, without headings."""
    return [row for _, rows in groups for row in rows]

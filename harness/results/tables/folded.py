"""Tables of runs where no page is wide enough for all columns: what tells rows apart, and what all of them share."""

from __future__ import annotations

from collections.abc import Sequence

from winnow.harness.common.console import blocks_of, heading
from winnow.harness.results.tables.matrix import APART
from winnow.harness.results.tables.sheet import CellText, Sheet

LEFT = ("model", "reducer", "at", "run", "task")
KEYS, FURTHER = ("task", "reducer", "ratio"), ("model", "at", *APART, "n", "run")
"""What names a row where a table is folded, and what does as well where rows would be alike."""
PAGE = 100
"""Letters of a line over the whole page."""


def keys_of(table: Sequence[dict[str, str]]) -> list[str]:
    """The columns that tell rows apart, no more of them than it takes."""
    there = table[0] if table else {}
    keys = [name for name in KEYS if name in there]
    for name in (name for name in FURTHER if name in there):
        told = len({tuple(row[key] for key in keys) for row in table})
        if told < len({tuple(row[key] for key in [*keys, name]) for row in table}):
            keys.append(name)
    return keys if "run" not in keys else [name for name in keys if name in (*KEYS, "run")]


def sheets_of(table: Sequence[dict[str, str]], title: str, form: str) -> list[Sheet]:
    """The same for print: what all rows share stands in the caption, what no page is wide enough for follows below."""
    keys = keys_of(table)
    names = [name for name in (table[0] if table else {}) if any(row[name] for row in table)]
    same = [name for name in names if len({row[name] for row in table}) == 1 and name not in keys[:1]]
    same = same if len(table) > 1 else []
    names = [name for name in names if name not in same]
    shared = ", ".join(f"{heading(name)} {table[0][name]}" for name in same)
    title = f"{title}; in all rows: {shared}" if shared else title
    sizes = [(name, max(len(text) for text in [name, *(row[name] for row in table)])) for name in names]
    blocks = blocks_of(sizes, keys, PAGE) if form == "latex" else [names]
    return [
        _sheet(table, title + (f" ({i} of {len(blocks)})" if len(blocks) > 1 else ""), block)
        for i, block in enumerate(blocks, 1)
    ]


def _sheet(table: Sequence[dict[str, str]], title: str, names: Sequence[str]) -> Sheet:
    """Some columns as a sheet; the first one names the rows."""
    first, *others = names
    lines = [(row[first], [CellText(row[name]) for name in others]) for row in table]
    columns = [*map(heading, others)]
    return Sheet(
        title, columns, [("", lines)], [], [], {}, {}, heading(first), [name for name in others if name in LEFT]
    )

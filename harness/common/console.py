"""The console for results, and tables of text on it, as Markdown or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Literal

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from winnow.harness.common.plain import markdown, sheet_cell, visible

Format = Literal["rich", "md", "csv"]
WHOLE = 10_000
"""Columns of what is no terminal: a file or a pipe, where a line may be as long as it is."""
BETWEEN = 2


def output() -> Console:
    """The console for results: as wide as the terminal, or as a table needs where there is none."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WHOLE
    return console


def render(table: Sequence[dict[str, str]], form: Format) -> str:
    """Write the table as Markdown or CSV."""
    names = _columns(table)
    if form == "csv":
        return as_csv(table, names)
    lines = [names, ["---"] * len(names), *([row[name] for name in names] for row in table)]
    return "\n".join(f"| {' | '.join(map(markdown, line))} |" for line in lines)


def as_csv(table: Sequence[Mapping[str, object]], names: Sequence[str]) -> str:
    """Write some columns of a table as CSV; what a spreadsheet would compute is defused."""
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: sheet_cell(row.get(name)) for name in names} for row in table)
    return text.getvalue().rstrip("\n")


def _columns(table: Sequence[dict[str, str]]) -> list[str]:
    """The columns that hold something."""
    return [name for name in table[0] if any(row[name] for row in table)] if table else []


def print_table(
    table: Sequence[dict[str, str]],
    form: Format,
    left: Sequence[str] = (),
    title: str = "",
    caption: str = "",
    wrap: Sequence[str] = (),
    keys: Sequence[str] = (),
) -> None:
    """Print rows of text, all with the same keys, without the columns that are empty.

    Parameters
    ----------
    table : sequence of dict
        Column -> text.
    form : {"rich", "md", "csv"}
        Title and caption stand on the terminal; Markdown has the title.
    left : sequence of str
        Columns that are aligned to the left.
    title, caption : str
        Above and below.
    wrap : sequence of str
        Columns that may break into lines.
    keys : sequence of str
        Columns that name a row: where the terminal is too narrow for all, further ones follow below, each time with
        these.
    """
    if form != "rich":
        print(*([f"**{title}**\n"] if title and form == "md" else []), render(table, form), sep="\n")
        return
    from rich import box
    from rich.table import Table

    console, names = output(), _columns(table)
    blocks = blocks_of([(name, _width(table, name)) for name in names], keys, console.width)
    for number, block in enumerate(blocks):
        last = number == len(blocks) - 1
        drawn = Table(box=box.SIMPLE_HEAD, title=None if number else title, caption=None, pad_edge=False)
        drawn.title_justify = "left"
        for name in block:
            free = name in wrap or console.width < WHOLE
            justify: Literal["left", "right"] = "left" if name in left else "right"
            drawn.add_column(Text(_heading(name)), justify=justify, no_wrap=not free, overflow="fold")
        for row in table:
            drawn.add_row(*(Text(visible(row[name], keep="\n")) for name in block))
        console.print(drawn)
        if last and caption:
            console.print(Text(caption, style="italic dim"), width=min(console.width, 170))


def _heading(name: str) -> str:
    return visible({"entrance": "entrance %", "mean": "mean %", "last": "last %"}.get(name, name)).replace(": ", "\n")


def _width(table: Sequence[dict[str, str]], name: str) -> int:
    texts = [_heading(name), *(visible(row[name], keep="\n") for row in table)]
    return max(cell_len(line) for text in texts for line in text.split("\n"))


def blocks_of(columns: Sequence[tuple[str, int]], keys: Sequence[str], room: int) -> list[list[str]]:
    """Split columns into blocks that fit, in order.

    Parameters
    ----------
    columns : sequence of (str, int)
        Names and widths.
    keys : sequence of str
        Those that stand in every block.
    room : int
        Width of the terminal.
    """
    widths = dict(columns)
    fixed = sum(width + BETWEEN for name, width in columns if name in keys)
    blocks: list[list[str]] = [[]]
    for name, width in columns:
        if name in keys:
            continue
        taken = fixed + sum(widths[other] + BETWEEN for other in blocks[-1])
        if blocks[-1] and taken + width > room:
            blocks.append([])
        blocks[-1].append(name)
    return [[name for name in widths if name in keys or name in block] for block in blocks]

"""The console for results, and tables of text on it, as Markdown or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from textwrap import wrap as wrap_words
from types import MappingProxyType
from typing import Literal

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.text import Text

from winnow.harness.common.plain import markdown, sheet_cell, visible

Format = Literal["rich", "md", "csv"]
WHOLE = 10_000
"""Columns of what is no terminal: a file or a pipe, where a line may be as long as it is."""
EDGE, APART = 2, "   "
LEAST, WORDS = 6, 14
"""So wide a column is in any terminal, and so wide one of text where it has as much to say."""
MANY = 300
"""Rows from which rich takes longer than what they come from."""


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
    lines = [[*map(heading, names)], ["---"] * len(names), *([row[name] for name in names] for row in table)]
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
        Columns of text that may break into lines, between words; on a terminal those of `left` may as well. Figures
        never do.
    keys : sequence of str
        Columns that name a row: where the terminal is too narrow for all, further ones follow below, each time with
        these.
    """
    if form != "rich":
        print(*([f"**{markdown(title)}**\n"] if title and form == "md" else []), render(table, form), sep="\n")
        return
    console, names = output(), _columns(table)
    free = {*left, *wrap}
    whole = {name: _width(table, name) for name in names}
    fits = EDGE + sum(whole.values()) + len(APART) * (len(names) - 1) <= console.width
    least = whole if fits else {name: _least(table, name, whole[name], name in free) for name in names}
    for number, block in enumerate(blocks_of([*least.items()], keys, console.width)):
        widths = _widths(whole, {name: least[name] for name in block}, free, console.width)
        if title and not number:
            console.print(Text(visible(title), style="italic"))
        if len(table) > MANY and (lines := plain_lines(table, block, left, console.width, widths)):
            console.file.write("\n".join(lines) + "\n")
        else:
            console.print(_drawn(table, block, left, widths))
    if caption:
        console.print(Text(caption, style="italic dim"), width=min(console.width, 170))


def _drawn(
    table: Sequence[dict[str, str]], names: Sequence[str], left: Sequence[str], widths: Mapping[str, int]
) -> RenderableType:
    """Let rich lay out some columns; those that have a width break into lines at it."""
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in names:
        justify: Literal["left", "right"] = "left" if name in left else "right"
        width = widths.get(name)
        head = "\n".join(_broken(heading(name), width))
        drawn.add_column(Text(head), justify=justify, width=width, no_wrap=width is None, overflow="fold")
    for row in table:
        drawn.add_row(*(Text(visible(row[name], keep="\n")) for name in names))
    return drawn


def _widths(whole: Mapping[str, int], least: Mapping[str, int], free: Collection[str], room: int) -> dict[str, int]:
    """Widths of the columns that are narrower than they might be: what is left of the room goes to them, in order."""
    found = {**least}
    rest = room - EDGE - sum(least.values()) - len(APART) * (len(least) - 1)
    for name in least:
        more = min(max(rest, 0), whole[name] - least[name])
        found[name] += more
        rest -= more
    for name in sorted(least, key=lambda name: (name not in free, -least[name])):  # nothing is cut off
        less = min(max(-rest, 0), max(found[name] - LEAST, 0))
        found[name] -= less
        rest += less
    return {name: width for name, width in found.items() if width < whole[name]}


def plain_lines(
    table: Sequence[dict[str, str]],
    names: Sequence[str],
    left: Sequence[str],
    room: int,
    widths: Mapping[str, int] = MappingProxyType({}),
) -> list[str]:
    """The lines that rich would draw, in a hundredth of the time; none if a row has to break into lines."""
    heads = [_broken(heading(name), widths.get(name)) for name in names]
    high = max(map(len, heads))
    columns = [
        [*[""] * (high - len(head)), *head, *(visible(row[name], keep="\n") for row in table)]
        for head, name in zip(heads, names, strict=True)
    ]
    sizes = [max(map(cell_len, {*column})) for column in columns]
    whole = sum(sizes) + len(APART) * (len(names) - 1)
    if whole + EDGE > room or any("\n" in text for column in columns for text in column):
        return []
    padded = [
        [_padded(text, size, name in left) for text in column]
        for name, size, column in zip(names, sizes, columns, strict=True)
    ]
    lines = [f" {APART.join(cells)} " for cells in zip(*padded, strict=True)]
    empty = " " * (whole + EDGE)
    return [empty, *lines[:high], f" {'─' * whole} ", *lines[high:], empty]


def _broken(text: str, width: int | None) -> list[str]:
    """The lines of a heading."""
    return [line for part in text.split("\n") for line in (wrap_words(part, width) if width else [part])]


def _padded(text: str, width: int, left: bool) -> str:
    room = " " * (width - (len(text) if text.isascii() else cell_len(text)))
    return text + room if left else room + text


def heading(name: str) -> str:
    """How a column is called where people read it."""
    return visible({"entrance": "entrance %", "mean": "mean %", "last": "last %"}.get(name, name)).replace(": ", "\n")


def _width(table: Sequence[dict[str, str]], name: str) -> int:
    return max(cell_len(line) for text in [heading(name), *_texts(table, name)] for line in text.split("\n"))


def _texts(table: Sequence[dict[str, str]], name: str) -> list[str]:
    return [visible(text, keep="\n") for text in {row[name] for row in table}]


def _least(table: Sequence[dict[str, str]], name: str, whole: int, free: bool) -> int:
    """Cells that a column needs: figures whole, of headings and text the longest word, and some more of a long text."""
    texts = _texts(table, name)
    figures = 0 if free else max(cell_len(line) for text in texts for line in text.split("\n"))
    words = [*heading(name).replace("-", "- ").split(), *(word for text in texts if free for word in text.split())]
    return max(figures, *map(cell_len, words), 1, min(whole, WORDS))


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
    fixed = EDGE + sum(width + len(APART) for name, width in columns if name in keys)
    blocks: list[list[str]] = [[]]
    for name, width in columns:
        if name in keys:
            continue
        taken = fixed + sum(widths[other] + len(APART) for other in blocks[-1])
        if blocks[-1] and taken + width > room:
            blocks.append([])
        blocks[-1].append(name)
    return [[name for name in widths if name in keys or name in block] for block in blocks]

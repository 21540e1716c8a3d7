"""The console for results, and tables of text on it, as Markdown or as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Literal

from rich.console import Console

Format = Literal["rich", "md", "csv"]


def output() -> Console:
    """The console for results, never narrower than a table, which would be cut off."""
    return Console(width=max(Console().width, 170))


def render(table: Sequence[dict[str, str]], form: Format) -> str:
    """Write the table as Markdown or CSV."""
    names = _columns(table)
    if form == "csv":
        return as_csv(table, names)
    lines = [names, ["---"] * len(names), *([row[name].replace("|", "\\|") for name in names] for row in table)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def as_csv(table: Sequence[Mapping[str, object]], names: Sequence[str]) -> str:
    """Write some columns of a table as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
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
    """
    if form != "rich":
        print(*([f"**{title}**\n"] if title and form == "md" else []), render(table, form), sep="\n")
        return
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, title=title, caption=caption, pad_edge=False)
    drawn.title_justify = drawn.caption_justify = "left"
    for name in _columns(table):
        heading = {"entrance": "entrance %", "mean": "mean %", "last": "last %"}.get(name, name).replace(": ", "\n")
        drawn.add_column(heading, justify="left" if name in left else "right", no_wrap=name not in wrap)
    for row in table:
        drawn.add_row(*(row[name] for name in _columns(table)))
    output().print(drawn)

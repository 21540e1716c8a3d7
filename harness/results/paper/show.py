"""Prints a paper's table: on the terminal, as Markdown, CSV, LaTeX or HTML."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from winnow.harness.common.console import as_csv
from winnow.harness.common.plain import visible
from winnow.harness.results.paper.cell import Entry, Table
from winnow.harness.results.paper.formats import Form
from winnow.harness.results.paper.text import sheet
from winnow.harness.results.tables.sheet import CellText, Sheet, html, latex

LONGEST = 170
"""Columns of a line of text."""


def render(table: Table, form: Form) -> str:
    """Write a table in any format but ``rich``."""
    if form == "csv":
        return _csv(table)
    writers: Mapping[str, Callable[[Sheet], str]] = {"md": _markdown, "latex": latex, "html": html}
    return writers[form](sheet(table))


def show(table: Table, form: Form) -> None:
    """Print a table."""
    if form != "rich":
        print(render(table, form))
        return
    from rich import box
    from rich.table import Table as Drawn

    from winnow.harness.common.console import output

    found, console = sheet(table), output()
    for line in found.above:
        console.print(plain(line), style="bold red")
    drawn = Drawn(box=box.SIMPLE_HEAD, title=found.title, title_justify="left", pad_edge=False)
    whole = not console.is_terminal
    drawn.add_column("", no_wrap=whole, overflow="fold")
    for name in found.columns:
        drawn.add_column(plain(name.replace(" (", "\n(")), justify="right", no_wrap=whole, overflow="fold")
    for heading, rows in found.groups:
        if heading:
            drawn.add_row(f"[italic]{plain(heading)}[/]")
        for label, cells in rows:
            drawn.add_row(plain(label), *map(_rich, cells))
    console.print(drawn)
    for line in _tail(found):
        console.print(plain(line), soft_wrap=line.startswith("  "), width=min(console.width, LONGEST))


def plain(text: str) -> str:
    """Text that neither rich nor the terminal obeys."""
    from rich.markup import escape

    return escape(visible(text, keep="\n"))


def _rich(cell: CellText) -> str:
    """Ours above, printed below, so that a lone number is never taken for the other."""
    ours = plain(f"{cell.ours}{cell.marks}")
    rest = plain(" ".join(filter(None, [cell.printed + cell.note, cell.difference])))
    return (f"[bold]{ours}[/]" if cell.best else ours) + (f"\n[dim]{rest}[/]" if rest else "")


def _tail(found: Sheet) -> list[str]:
    lines = [*found.below, *(f"{letter}  {text}" for letter, text in found.notes.items())]
    if found.commands:
        lines += ["Missing, and what fills it:", *(f"  {what}: {word}" for what, word in found.commands.items())]
    return lines


def _markdown(found: Sheet) -> str:
    names = ["", *found.columns]
    lines = [f"**{found.title}**", "", *(f"> {line}" for line in found.above), *([""] if found.above else [])]
    lines += [f"| {' | '.join(names)} |", f"| {' | '.join(['---', *['---:'] * len(found.columns)])} |"]
    for heading, rows in found.groups:
        if heading:
            lines.append(f"| *{_bar(heading)}* |{' |' * len(found.columns)}")
        lines += [f"| {' | '.join([_bar(label), *map(_md_cell, cells)])} |" for label, cells in rows]
    lines += ["", *(f"{line}\n" for line in found.below), *(f"<sup>{k}</sup> {v}\n" for k, v in found.notes.items())]
    if found.commands:
        lines += ["Missing, and what fills it:", "", *(f"- {what}: `{word}`" for what, word in found.commands.items())]
    return "\n".join(lines).rstrip()


def _bar(text: str) -> str:
    return text.replace("|", "\\|").replace("*", "\\*").replace("~", "\\~")


def _md_cell(cell: CellText) -> str:
    ours = f"**{_bar(cell.ours)}**" if cell.best and cell.ours else _bar(cell.ours)
    printed = _bar(cell.printed) + (f"<sup>{cell.note}</sup>" if cell.note else "")
    rest = ", ".join(filter(None, [printed, cell.difference]))
    return " ".join(filter(None, [ours + _bar(cell.marks), f"({rest})" if rest else ""]))


def _csv(table: Table) -> str:
    """Write all numbers, one line per row; ``command`` fills what a line lacks."""
    lines = []
    for line in table.lines:
        row: dict[str, object] = {"row": line.row.key, "label": line.label, "group": line.group}
        for name in table.columns:
            row |= {f"{name}{key}": value for key, value in _numbers(line.entries.get(name)).items()}
        row["retained %"] = line.retained
        row["runs"] = " ".join(dict.fromkeys(result["id"] for result in line.runs.values()))
        whole = table.commands.get("the whole table", "") if any(e.missing for e in line.entries.values()) else ""
        own = [word for what, word in table.commands.items() if what.startswith(f"{line.row.key}: ")]
        row["command"] = "; ".join(filter(None, [whole, *own]))
        lines.append(row)
    return as_csv(lines, list(lines[0]))


def _numbers(entry: Entry | None) -> dict[str, object]:
    entry = entry or Entry()
    value, printed = entry.ours, entry.printed
    found: dict[str, object] = {"": value.mean if value else None}
    found |= {" low": value.low if value else None, " high": value.high if value else None}
    found |= {" printed": printed.text if printed else None, " difference": entry.difference}
    for at, compared in (("unreduced", entry.base), ("random", entry.random)):
        gap = compared.difference if compared else None
        found |= {f" vs {at}": gap.mean if gap else None, f" vs {at} low": gap.low if gap else None}
        found |= {f" vs {at} high": gap.high if gap else None}
    return found | {" p unreduced (Holm)": entry.p_base, " p random (Holm)": entry.p_random}

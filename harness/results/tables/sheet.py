"""Any table for print: LaTeX with booktabs, or an HTML fragment, both laid out by pandas."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from winnow.harness.common.plain import visible

if TYPE_CHECKING:
    from pandas.io.formats.style import Styler

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"$\sim$", "^": r"\textasciicircum{}", "±": r"$\pm$", "Δ": r"$\Delta$", "→": r"$\to$", "×": r"$\times$",
    "·": r"$\cdot$", "<": r"\textless{}", ">": r"\textgreater{}", "[": "{[}", "]": "{]}",
}  # fmt: skip

MINUS = re.compile(r"(?<![\w.,:}{$^-])-(?=\d)")
"""Of a number, and no hyphen."""
POWER = re.compile(r"(?<![\w.])(\d(?:\.\d+)?)e(-?)\+?0*(\d+)\b")


@dataclass(frozen=True)
class CellText:
    """The text of one cell; every part may be empty."""

    ours: str = ""
    printed: str = ""
    difference: str = ""
    marks: str = ""
    note: str = ""
    best: bool = False


@dataclass(frozen=True)
class Sheet:
    """A table as text.

    Attributes
    ----------
    title : str
    columns : list of str
        Without the first one, which names the rows.
    groups : list of (str, list)
        Heading, and its rows: label and cells.
    above, below : list of str
        Warnings, and what explains the table.
    notes : dict
        Footnote letter -> text.
    commands : dict
        What is missing -> the command that fills it.
    first : str
        Heading of the column that names the rows.
    left : sequence of str
        Columns of text, aligned to the left.
    """

    title: str
    columns: list[str]
    groups: list[tuple[str, list[tuple[str, list[CellText]]]]]
    above: list[str]
    below: list[str]
    notes: dict[str, str]
    commands: dict[str, str]
    first: str = ""
    left: Sequence[str] = ()


def tex(text: str) -> str:
    """Escape what means something to LaTeX, and spell out what its fonts lack."""
    written = "".join(SPECIAL.get(letter, letter if letter.isascii() else "?") for letter in visible(text))
    return MINUS.sub("$-$", POWER.sub(r"\1$\\cdot10^{\2\3}$", written))


def _styled(
    found: Sheet, cell: Callable[[CellText], str], word: Callable[[str], str], head: Callable[[str], str]
) -> Styler:
    """Lay out a sheet whose texts are written already."""
    import pandas as pd

    lines = [(word(heading), word(label), cells) for heading, rows in found.groups for label, cells in rows]
    grouped = any(heading for heading, _, _ in lines)
    index = (
        pd.MultiIndex.from_tuples([line[:2] for line in lines]) if grouped else pd.Index([line[1] for line in lines])
    )
    columns = pd.Index([head(name) for name in found.columns], name=word(found.first) if found.first else None)
    return pd.DataFrame([[*map(cell, line[2])] for line in lines], index=index, columns=columns, dtype=object).style


def latex(found: Sheet) -> str:
    r"""Write the table over the whole page; the preamble needs the packages ``booktabs`` and ``multirow``."""
    styled = _styled(found, _tex_cell, tex, _tex_heading)
    depth = styled.index.nlevels
    text: str = styled.to_latex(
        hrules=True,
        environment="table*",
        position_float="centering",
        caption=tex(found.title),
        column_format="l" * depth + "".join("l" if name in found.left else "r" for name in found.columns),
        multirow_align="t",
        clines="skip-last;index" if depth > 1 else None,
    )
    above = [rf"\textbf{{{tex(line)}}}\par\smallskip" for line in found.above]
    small = [*above, r"\footnotesize\setlength{\tabcolsep}{3pt}", ""]
    small_print = [r"\par\smallskip\raggedright\scriptsize"] if found.below or found.notes else []
    below = [*small_print, *(rf"{tex(line)}\par" for line in found.below)]
    below += [rf"\textsuperscript{{{letter}}}\,{tex(note)}\par" for letter, note in found.notes.items()]
    below += [f"% missing: {visible(what)}: {visible(word)}" for what, word in found.commands.items()]
    head, body = text.split(r"\begin{tabular}", 1)
    body, end = body.rsplit(r"\end{table*}", 1)
    lines = [r"% \usepackage{booktabs,multirow}", head + "\n".join(small) + r"\begin{tabular}" + body.rstrip(), *below]
    return "\n".join([*lines, r"\end{table*}" + end.rstrip()])


def _tex_heading(name: str) -> str:
    """Put the unit below the name, so that columns are no wider than their numbers."""
    text, bracket, unit = name.rpartition(" (")
    return rf"\begin{{tabular}}[b]{{@{{}}r@{{}}}}{tex(text)} \\ ({tex(unit)}\end{{tabular}}" if bracket else tex(name)


def _tex_cell(cell: CellText) -> str:
    ours = rf"\textbf{{{tex(cell.ours)}}}" if cell.best and cell.ours else tex(cell.ours)
    marks = rf"\textsuperscript{{{tex(cell.marks)}}}" if cell.marks else ""
    note = rf"\textsuperscript{{{cell.note}}}" if cell.note else ""
    rest = ", ".join(filter(None, [f"{tex(cell.printed)}{note}" if cell.printed else "", tex(cell.difference)]))
    return " ".join(filter(None, [ours + marks, rf"{{\scriptsize ({rest})}}" if rest else ""]))


def html(found: Sheet) -> str:
    """Write the table as an HTML fragment; everything from data is escaped."""

    def word(text: str) -> str:
        return escape(visible(text))

    styled = _styled(found, lambda cell: _html_cell(cell, word), word, word)
    table: str = styled.set_caption(word(found.title)).to_html(exclude_styles=True, sparse_index=True)
    lines = [f'<p class="gate">{word(line)}</p>' for line in found.above]
    lines.append(table.replace("<table>", '<table class="paper">', 1))
    lines += [f"<p>{word(line)}</p>" for line in found.below]
    lines += [f"<p><sup>{letter}</sup> {word(text)}</p>" for letter, text in found.notes.items()]
    if found.commands:
        items = "".join(f"<li>{word(what)}: <code>{word(line)}</code></li>" for what, line in found.commands.items())
        lines.append(f"<p>Missing, and what fills it:</p><ul>{items}</ul>")
    return "\n".join(lines)


def _html_cell(cell: CellText, word: Callable[[str], str]) -> str:
    ours = MINUS.sub("−", word(cell.ours + cell.marks))
    printed = word(cell.printed) + (f"<sup>{cell.note}</sup>" if cell.note else "")
    rest = ", ".join(filter(None, [printed, word(cell.difference)]))
    known = [f"<b>{ours}</b>" if cell.best else ours, f'<span class="printed">({rest})</span>' if rest else ""]
    return " ".join(filter(None, known))

"""A paper's table in LaTeX, with booktabs."""

from __future__ import annotations

from winnow.harness.results.paper.text import CellText, Sheet

SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"$\sim$", "^": r"\textasciicircum{}", "±": r"$\pm$", "Δ": r"$\Delta$", "→": r"$\to$",
    "×": r"$\times$", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip


FIT = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Shrinks what is too wide, and enlarges nothing."""


def tex(text: str) -> str:
    """Escape what means something to LaTeX, and spell out what its fonts lack."""
    return "".join(SPECIAL.get(letter, letter if letter.isascii() else "?") for letter in text)


def latex(found: Sheet) -> str:
    r"""Write the table; the preamble needs ``\usepackage{booktabs}`` and ``\usepackage{graphicx}``."""
    width = len(found.columns)
    lines = [r"% \usepackage{booktabs,graphicx}", r"\begin{table}", r"\centering"]
    lines += [rf"\caption{{{tex(found.title)}}}"]
    lines += [rf"\textbf{{{tex(line)}}}\par\smallskip" for line in found.above]
    lines += [r"\setlength{\tabcolsep}{4pt}", FIT, rf"\begin{{tabular}}{{l{'r' * width}}}", r"\toprule"]
    lines += [" & ".join(["", *map(_heading, found.columns)]) + r" \\", r"\midrule"]
    for number, (heading, rows) in enumerate(found.groups):
        if number:
            lines.append(r"\midrule")
        if heading:
            lines.append(rf"\multicolumn{{{width + 1}}}{{l}}{{\textit{{{tex(heading)}}}}} \\")
        lines += [" & ".join([tex(label), *map(_cell, cells)]) + r" \\" for label, cells in rows]
    lines += [r"\bottomrule", r"\end{tabular}}", r"\par\smallskip\raggedright\scriptsize"]
    lines += [rf"{tex(line)}\par" for line in found.below]
    lines += [rf"\textsuperscript{{{letter}}}\,{tex(text)}\par" for letter, text in found.notes.items()]
    lines += [f"% missing: {what}: {word}" for what, word in found.commands.items()]
    return "\n".join([*lines, r"\end{table}"])


def _heading(name: str) -> str:
    """Put the unit below the name, so that columns are no wider than their numbers."""
    text, bracket, unit = name.rpartition(" (")
    return rf"\begin{{tabular}}[b]{{@{{}}r@{{}}}}{tex(text)} \\ ({tex(unit)}\end{{tabular}}" if bracket else tex(name)


def _cell(cell: CellText) -> str:
    ours = rf"\textbf{{{tex(cell.ours)}}}" if cell.best and cell.ours else tex(cell.ours)
    marks = rf"\textsuperscript{{{tex(cell.marks)}}}" if cell.marks else ""
    note = rf"\textsuperscript{{{cell.note}}}" if cell.note else ""
    rest = ", ".join(filter(None, [f"{tex(cell.printed)}{note}" if cell.printed else "", tex(cell.difference)]))
    return " ".join(filter(None, [ours + marks, rf"{{\scriptsize ({rest})}}" if rest else ""]))

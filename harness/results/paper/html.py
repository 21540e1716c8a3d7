"""A paper's table as an HTML fragment."""

from __future__ import annotations

from html import escape

from winnow.harness.results.paper.text import CellText, Sheet


def html(found: Sheet) -> str:
    """Write the table as an HTML fragment; everything from data is escaped."""
    lines = [f'<p class="gate">{escape(line)}</p>' for line in found.above]
    lines += ['<table class="paper">', f"<caption>{escape(found.title)}</caption>"]
    heads = "".join(f"<th>{escape(name)}</th>" for name in ["", *found.columns])
    lines += [f"<thead><tr>{heads}</tr></thead>"]
    for heading, rows in found.groups:
        lines.append("<tbody>")
        if heading:
            span = len(found.columns) + 1
            lines.append(f'<tr class="group"><th colspan="{span}">{escape(heading)}</th></tr>')
        for label, cells in rows:
            lines.append(f"<tr><th>{escape(label)}</th>{''.join(map(_html_cell, cells))}</tr>")
        lines.append("</tbody>")
    lines.append("</table>")
    lines += [f"<p>{escape(line)}</p>" for line in found.below]
    lines += [f"<p><sup>{letter}</sup> {escape(text)}</p>" for letter, text in found.notes.items()]
    if found.commands:
        items = "".join(
            f"<li>{escape(what)}: <code>{escape(word)}</code></li>" for what, word in found.commands.items()
        )
        lines.append(f"<p>Missing, and what fills it:</p><ul>{items}</ul>")
    return "\n".join(lines)


def _html_cell(cell: CellText) -> str:
    ours = escape(cell.ours + cell.marks)
    printed = escape(cell.printed) + (f"<sup>{cell.note}</sup>" if cell.note else "")
    rest = ", ".join(filter(None, [printed, escape(cell.difference)]))
    known = [f"<b>{ours}</b>" if cell.best else ours, f'<span class="printed">({rest})</span>' if rest else ""]
    return f"<td>{' '.join(filter(None, known))}</td>"

"""The card as LaTeX: one table over the page, a group of rows for each section."""

from __future__ import annotations

from winnow.harness.audit.card import Card
from winnow.harness.audit.show.text import MARKS, interval, value
from winnow.harness.results.tables.sheet import CellText, Sheet, latex

COLUMNS = ["of", "value", "95 %", "p (Holm)", "n"]


def as_latex(card: Card) -> str:
    """Write a card; the preamble needs the packages ``booktabs`` and ``multirow``."""
    groups = [
        (
            section.title,
            [
                (
                    one.what,
                    [
                        CellText(text)
                        for text in (
                            one.on,
                            value(one),
                            interval(one),
                            "" if one.p is None else f"{one.p:.2g}",
                            "" if one.n is None else str(one.n),
                        )
                    ],
                )
                for one in section.lines
            ],
        )
        for section in card.sections
        if section.lines
    ]
    said = [f"{section.title} ({MARKS[section.state]}): {section.verdict}." for section in card.sections]
    lacking = {f"{section.title}, {what}": how for section in card.sections for what, how in section.missing.items()}
    return latex(Sheet(f"{card.method}, {card.about}", COLUMNS, groups, [], said, {}, lacking, first="figure"))

"""The card as text: for a terminal, as Markdown, as CSV of its figures."""

from __future__ import annotations

from collections.abc import Iterator

from winnow.harness.audit.card import Card, Line, Section

MARKS = {"sound": "ok", "finding": "FINDING", "open": "open", "missing": "missing"}


def value(line: Line) -> str:
    """A figure with its unit."""
    return f"{_number(line.value, line)} {line.unit}".strip()


def interval(line: Line) -> str:
    """The interval of a figure; empty where there is none."""
    if line.low is None or line.high is None:
        return ""
    return f"[{_number(line.low, line)}, {_number(line.high, line)}]"


def _number(number: float, line: Line) -> str:
    """As many digits as mean something; differences with their sign."""
    whole = line.unit == "" and line.low is None and float(number).is_integer()
    digits = 0 if whole else 1 if line.unit in ("%", "points") else 2
    return f"{number:{'' if line.p is None else '+'}.{digits}f}"


def rows(section: Section) -> list[dict[str, str]]:
    """The figures of a section as a table of text."""
    return [
        {
            "figure": line.what,
            "of": line.on,
            "value": value(line),
            "95 %": interval(line),
            "p (Holm)": "" if line.p is None else f"{line.p:.2g}",
            "n": "" if line.n is None else str(line.n),
            "note": line.note,
        }
        for line in section.lines
    ]


def verdicts(card: Card) -> list[dict[str, str]]:
    """The sections in one table: the card at a glance."""
    return [
        {"section": section.title, "": MARKS[section.state], "verdict": section.verdict} for section in card.sections
    ]


def figures(card: Card) -> list[dict[str, object]]:
    """All figures of a card as numbers, for CSV."""
    return [
        {"method": card.method, "about": card.about, "section": section.name, "state": section.state} | vars(line)
        for section in card.sections
        for line in section.lines
    ]


def notes(section: Section) -> Iterator[str]:
    """What stands with the figures: the verdict, what would falsify the verdict, and what is lacking."""
    yield f"{section.title} ({MARKS[section.state]}): {section.verdict}."
    yield f"Would speak against it: {section.falsified}."
    for what, how in section.missing.items():
        yield f"Lacking, {what}: {how}"

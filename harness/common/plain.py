"""What stands in data, made harmless for whoever reads it: a terminal, Markdown, a spreadsheet."""

from __future__ import annotations

import re
import unicodedata

_MARKS = re.compile(r"([\\|*`\[\]])")
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
"""Categories of characters that a terminal obeys or that nobody sees: controls, directions, line separators."""
_NUMBERS = re.compile(r"[-+\d.,±%e ()\[\]]*")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def visible(text: str, keep: str = "") -> str:
    r"""Spell out what a terminal would obey, as ``\x1b``.

    Parameters
    ----------
    text : str
    keep : str
        Characters that may stay, such as the end of a line.
    """
    if text.isprintable():  # no category of those is
        return text
    return "".join(
        letter if letter in keep or unicodedata.category(letter) not in _HIDDEN else ascii(letter)[1:-1]
        for letter in text
    )


def markdown(text: str) -> str:
    """Escape what means something in a cell of a Markdown table; nothing of it is HTML."""
    safe = visible(text.replace("\n", " ")).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKS.sub(r"\\\1", safe)


def sheet_cell(value: object) -> object:
    """Defuse text that a spreadsheet would take for a formula; numbers stay numbers."""
    if not isinstance(value, str) or not value.startswith(_FORMULA) or _NUMBERS.fullmatch(value):
        return value
    return f"'{value}"

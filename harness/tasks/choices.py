"""The options of a multiple-choice question, and which of them is right, as each benchmark writes them down."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, Literal

Doc = Mapping[str, Any]
LETTERED = re.compile(r"^\s*\(?[A-Z][.):]\s*")
LINES = re.compile(r"^\s*\(?([A-H])[.):]\s*(.*?)\s*$", re.MULTILINE)
LISTED = re.compile(r"^\(([A-Z])\) (.*)$", re.MULTILINE)
ABSENT = (None, "", "nan", "N/A")


@dataclass(frozen=True)
class Choices:
    """How a benchmark writes its options.

    Attributes
    ----------
    texts : callable
        What the options of a document say, in the order of their letters.
    label : {"letter", "index", "text", "lettered"}
        How the column of the answer names the right one; the last: a letter, a full stop and the text.
    """

    texts: Callable[[Doc], list[str]]
    label: Literal["letter", "index", "text", "lettered"] = "letter"

    def options(self, doc: Doc) -> dict[str, str]:
        """Letter -> what the option says."""
        return dict(zip(ascii_uppercase, self.texts(doc), strict=False))

    def right(self, doc: Doc, column: str) -> str:
        """Find the letter of the right option."""
        if self.label in {"letter", "lettered"}:
            return str(doc[column]).strip()[: 1 if self.label == "lettered" else None]
        place = int(doc[column]) if self.label == "index" else self.texts(doc).index(doc[column])
        return ascii_uppercase[place]

    def relabelled(self, doc: Doc, column: str, letter: str) -> dict[str, Any]:
        """Copy a document with another option as the right one."""
        place = ascii_uppercase.index(letter)
        text = self.texts(doc)[place]
        index = type(doc[column])(place) if self.label == "index" else place
        values = {"letter": letter, "index": index, "text": text, "lettered": f"{letter}. {text}"}
        return {**doc, column: values[self.label]}


def column(name: str) -> Callable[[Doc], list[str]]:
    """Options in one column, with or without their letters before them."""
    return lambda doc: [LETTERED.sub("", str(text)) for text in doc[name]]


def columns(names: str, prefix: str = "") -> Callable[[Doc], list[str]]:
    """Options in a column each, until one that is absent."""
    return lambda doc: [str(doc[prefix + name]) for name in names if doc.get(prefix + name) not in ABSENT]


def in_question(doc: Doc) -> list[str]:
    """Options as lines of the question: ``(A) red``."""
    return [text for _, text in LISTED.findall(doc["question"])]


def as_lines(name: str) -> Callable[[Doc], list[str]]:
    """Options as lines of a column's text, each with its letter: ``A. red`` or ``(A) red``."""
    return lambda doc: [text for _, text in LINES.findall(doc[name] or "")]

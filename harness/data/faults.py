"""Why documents could not be shown or answered: equal reasons together, each with its documents and files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

FILE = re.compile(r"(?<![\w.])/[^\n]*?\.\w{2,5}(?=[\s,;:)]|$)")
"""A whole path with an ending, as reasons name files; it may hold spaces."""
NAMED = 3
"""Documents that are named one by one."""
REASONS = 5
"""Reasons that a result tells."""


class Fault(NamedTuple):
    """One reason.

    Attributes
    ----------
    reason : str
        Without the path of the file.
    documents : list of (int, str)
        Document and its file, where the reason names one.
    """

    reason: str
    documents: list[tuple[int, str]]

    def __str__(self) -> str:
        named = [f"document {number} of {file}" for number, file in self.documents[:NAMED] if file]
        more = [f"{len(self.documents) - NAMED} more"] if named and len(self.documents) > NAMED else []
        return self.reason + (f" [{', '.join(named + more)}]" if named else "")


def grouped(reasons: Iterable[tuple[int, str]]) -> list[Fault]:
    """Put equal reasons together, the most frequent first.

    Parameters
    ----------
    reasons : iterable of (int, str)
        Document and why it failed.
    """
    found: dict[str, list[tuple[int, str]]] = {}
    for number, reason in reasons:
        named = FILE.search(reason)
        plain = " ".join(FILE.sub("", reason).split())
        found.setdefault(plain, []).append((number, named[0] if named else ""))
    return sorted((Fault(*pair) for pair in found.items()), key=lambda fault: -len(fault.documents))


def counted(reasons: Iterable[tuple[int, str]]) -> dict[str, int]:
    """How many documents failed for each of the most frequent reasons."""
    return {fault.reason: len(fault.documents) for fault in grouped(reasons)[:REASONS]}

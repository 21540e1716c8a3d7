"""Short texts that are read off a picture: the normalised edit distance of document benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from winnow.harness.tasks.benchmark import Reading
from winnow.harness.tasks.choices import Doc

THRESHOLD = 0.5
"""An answer that is less alike than this is worth nothing (Biten et al. 2019, section 3.2)."""


def anls(answer: str, references: Sequence[str]) -> float:
    """How alike an answer and the best of its references are, 0 to 1, without case and by single spaces.

    Average normalised Levenshtein similarity of one question, Biten et al. 2019, arXiv:1905.13648.
    """
    from Levenshtein import distance

    said = _folded(answer)
    pairs = [(said, _folded(reference)) for reference in references]
    likeness = max(1 - distance(a, b) / max(len(a), len(b), 1) for a, b in pairs)
    return likeness if likeness >= THRESHOLD else 0.0


def _folded(text: str) -> str:
    return " ".join(text.lower().split())


def alike(value: Any, answer: str, doc: Doc) -> Reading:
    """Compare with the best of the references, letter by letter."""
    return Reading(anls(answer, doc["answers"]), bool(answer.strip()))

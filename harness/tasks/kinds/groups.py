"""Groups of questions about one video that are worth more than their sum: Video-MME-v2 (arXiv:2604.05015, section 3).

A group is worth what was reached of what could be: where `limit` cuts it, all right is worth everything.
"""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Sequence

from winnow.harness.tasks.choices import Doc

EVEN = (0, 1 / 16, 4 / 16, 9 / 16, 1)
"""What 0 to 4 right answers of a group are worth, where questions stand side by side or in one chain."""
CHAINS = {"[1, [2, 3], 4]": (0, 1 / 12, 4 / 12, 7 / 12, 1), "[[1, 2], 3, 4]": (0, 1 / 10, 2 / 10, 5 / 10, 1)}
"""The same for chains of which two questions stand side by side, by their places."""


def group(answered: Sequence[tuple[Doc, float]]) -> float:
    """What the answers to one video's questions are worth together, 0 to 1."""
    ordered = sorted(answered, key=lambda one: int(str(one[0]["question_id"]).rsplit("-", 1)[-1]))
    right = [score == 1 for _, score in ordered]
    first = ordered[0][0]
    if first["group_type"] == "relevance":
        return EVEN[sum(right)] / EVEN[len(right)]
    structure = str(literal_eval(first["group_structure"]))
    points = CHAINS.get(structure, EVEN)
    return points[_reached(right, structure)] / points[len(right)]


def accuracy(answered: Sequence[tuple[Doc, str, float]]) -> dict[str, float]:
    """The share of single questions that are right, in %."""
    return {"accuracy": 100 * sum(score for *_, score in answered) / len(answered)}


def _reached(right: Sequence[bool], structure: str) -> int:
    """How far a chain holds: to its first wrong answer, of two side by side to the second wrong one."""
    lead = next((place for place, good in enumerate(right) if not good), len(right))
    beside = {"[1, [2, 3], 4]": 1, "[[1, 2], 3, 4]": 0}.get(structure)
    return lead + 1 if lead == beside and len(right) > lead + 1 and right[lead + 1] else lead

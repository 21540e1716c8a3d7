"""Which ability a benchmark, or a part of one, asks for: by the words of its name, the first that fits."""

from __future__ import annotations

import re
from collections.abc import Sequence

OTHER, HALLUCINATION = "perception", "hallucination"
WORDS = {
    HALLUCINATION: "pope hallusion hallucination chair exist existence",
    "OCR": "ocr ocrbench textvqa docvqa chartqa infovqa text document chart posters",
    "counting": "count counting",
    "grounding": "refcoco grounding charades position where side location localization spatial relation left",
    "temporal": "temporal order sequence first last action motion moving state tempcompass motionbench",
    "knowledge": "scienceqa mmmu mathvista knowledge landmark celebrity artwork commonsense numerical code ai2d",
}


def ability(task: str, part: str = "") -> str:
    """Name the ability that a part of a benchmark asks for, or the whole benchmark where the part does not tell."""
    for name in (part, task):
        words = {*re.split(r"[^a-z0-9]+", name.lower())}
        found = next((kind for kind, known in WORDS.items() if words & {*known.split()}), None)
        if found:
            return found
    return OTHER


def abilities(task: str, parts: Sequence[str]) -> list[str]:
    """Name the abilities that a document of these parts asks for; a benchmark of hallucination asks for that, too."""
    whole = [HALLUCINATION] if ability(task) == HALLUCINATION else []
    return list(dict.fromkeys([*(ability(task, part) for part in parts or ("",)), *whole]))

"""Questions of yes and no, and how sets of them are told to hang together."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from winnow.harness.tasks.benchmark import Reading
from winnow.harness.tasks.choices import Doc
from winnow.harness.tasks.letter_marks import THINKING

WORD = re.compile(r"\b(yes|no)\b", re.IGNORECASE)


def said(answer: str) -> str:
    """What an answer says: its first word where that is yes or no, else the only one of the two in it, or nothing."""
    text = THINKING.sub("", answer)
    words = re.findall(r"\w+", text.lower())
    if words and words[0] in {"yes", "no"}:
        return words[0]
    found = {word.lower() for word in WORD.findall(text)}
    return found.pop() if len(found) == 1 else ""


def agreed(value: Any, answer: str, doc: Doc) -> Reading:
    """Compare with a label that is yes or no."""
    return _reading(answer, str(doc["answer"]).strip().lower())


def agreed_by_number(value: Any, answer: str, doc: Doc) -> Reading:
    """Compare with a label that is 1 for yes and 0 for no."""
    return _reading(answer, "yes" if str(doc["gt_answer"]) == "1" else "no")


def _reading(answer: str, right: str) -> Reading:
    word = said(answer)
    return Reading(float(word == right), bool(word))


def together(answered: Sequence[tuple[Doc, str, float]], key: Callable[[Doc], object]) -> float:
    """The share, in %, of sets of questions that are right in each of them."""
    sets: Mapping[object, list[float]] = defaultdict(list)
    for doc, _, score in answered:
        sets[key(doc)].append(score)
    return 100 * sum(min(scores) == 1 for scores in sets.values()) / len(sets)

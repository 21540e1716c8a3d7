"""Numbers in answers: thousands separators, percent signs and words are understood."""

from __future__ import annotations

import re
from typing import Any

from winnow.harness.tasks.benchmark import Reading
from winnow.harness.tasks.choices import Doc

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|(?<![\w.])[-+]?\.\d+")
"""A number in a text, with its separators of thousands."""
SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
WORDS = {word: number for number, word in enumerate(SMALL.split())}
WORDS |= {word: 10 * number for number, word in enumerate(TENS.split(), 2)}
SCALES = {"hundred": 100, "thousand": 1000}
SPOKEN = re.compile(rf"\b(?:{'|'.join([*WORDS, *SCALES])})(?:[\s-]+(?:and\s+)?(?:{'|'.join([*WORDS, *SCALES])}))*\b")
TOLERANCE = 0.05
"""Relative error that a number read off a chart may have (Masry et al. 2022, arXiv:2203.10244, section 5.1)."""
CONFIDENCES = [0.5 + 0.05 * step for step in range(10)]
"""Relative accuracies over which an estimate is averaged (Yang et al. 2024, arXiv:2412.14171, section 3.3)."""


def whole(text: str) -> float | None:
    """The number that a whole text is; percent are hundredths; None: it is no number."""
    bare = text.strip().removesuffix(".")
    hundredths = 100.0 if bare.endswith("%") else 1.0
    found = NUMBER.fullmatch(bare.removesuffix("%").strip())
    return float(found.group().replace(",", "")) / hundredths if found else None


def numbers(text: str) -> list[float]:
    """Every number of a text that is written in figures."""
    return [float(found.replace(",", "")) for found in NUMBER.findall(text)]


def first(text: str) -> float | None:
    """The first number of a text, in figures or in words; None: there is none."""
    figures, words = NUMBER.search(text), SPOKEN.search(text.lower())
    if figures and (words is None or figures.start() < words.start()):
        return float(figures.group().replace(",", ""))
    return _spoken(words.group()) if words else None


def _spoken(text: str) -> float:
    total = current = 0
    for word in re.findall("[a-z]+", text):
        if word == "thousand":
            total, current = total + max(current, 1) * SCALES[word], 0
        elif word == "hundred":
            current = max(current, 1) * SCALES[word]
        else:
            current += WORDS.get(word, 0)
    return float(total + current)


def relaxed(answer: str, target: str) -> bool:
    """Whether an answer about a chart is right: a number within the tolerance, or the very words."""
    said, right = whole(answer), whole(target)
    if said is None or right is None:
        return _bare(answer) == _bare(target)
    return abs(said - right) <= TOLERANCE * abs(right)


def _bare(text: str) -> str:
    return text.strip().removesuffix(".").lower()


def accuracy(said: float, right: float) -> float:
    """Mean relative accuracy of an estimate: over how many of the confidences it is near enough."""
    if right == 0:
        return float(said == 0)
    return sum(abs(said - right) / abs(right) <= 1 - each + 1e-9 for each in CONFIDENCES) / len(CONFIDENCES)


def charted(value: Any, answer: str, doc: Doc) -> Reading:
    """Compare with the label of a question about a chart."""
    return Reading(float(relaxed(answer, doc["answer"])), bool(answer.strip()))

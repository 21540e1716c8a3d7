"""Spans of time in a video: where an answer says that something begins and ends."""

from __future__ import annotations

import re
from ast import literal_eval
from collections.abc import Sequence
from statistics import mean
from typing import Any

from winnow.harness.tasks.benchmark import Reading
from winnow.harness.tasks.choices import Doc
from winnow.harness.tasks.letter_marks import THINKING

Span = tuple[float, float]
HIT = 0.5
LEVELS = (0.3, 0.5, 0.7)
_TIME = r"(\d+(?::\d{1,2}){1,2}(?:\.\d+)?|\d+(?:\.\d+)?)"
_UNIT = r"\s*(?:s|secs?|seconds?)?\s*"
RANGE = re.compile(rf"(?<![\w.:]){_TIME}{_UNIT}(?:-|–|—|~|to|and|until|,)\s*{_TIME}(?!\.?\d|:)", re.IGNORECASE)
TIME = re.compile(rf"(?<![\w.:]){_TIME}(?![\w:])(?!\.\d)|(?<![\w.:]){_TIME}(?=s(?:ecs?|econds?)?\b)", re.IGNORECASE)
BEGINS = re.compile(
    rf"\b(?:start|begin)\w*\D{{0,30}}?{_TIME}.{{0,80}}?\b(?:end|finish|stop)\w*\D{{0,30}}?{_TIME}", re.I | re.S
)


def span_of(answer: str) -> Span | None:
    """Read the first span of an answer, in seconds and in order; None: it tells none, or more times than two."""
    text = THINKING.sub("", answer)
    found = BEGINS.search(text) or RANGE.search(text)
    times = list(found.groups()) if found else [a or b for a, b in TIME.findall(text)]
    if len(times) != 2:
        return None
    first, last = sorted(map(_seconds, times))
    return first, last


def _seconds(time: str) -> float:
    found = 0.0
    for part in time.split(":"):
        found = 60 * found + float(part)
    return found


def overlap(one: Span, other: Span) -> float:
    """Intersection over union of two spans in order."""
    shared = max(min(one[1], other[1]) - max(one[0], other[0]), 0.0)
    union = one[1] - one[0] + other[1] - other[0] - shared
    return shared / union if union > 0 else 0.0


def truth(doc: Doc) -> Span:
    """The label of a document, which may be written as text."""
    told = doc["timestamp"]
    first, last = sorted(map(float, literal_eval(told) if isinstance(told, str) else told))
    return first, last


def timed(value: Any, answer: str, doc: Doc) -> Reading:
    """Whether a span covers what it should by half."""
    span = span_of(answer)
    return Reading(float(span is not None and overlap(span, truth(doc)) >= HIT), span is not None)


def fits(answered: Sequence[tuple[Doc, str, float]]) -> dict[str, float]:
    """The mean overlap, and the accuracy at each level of it."""
    pairs = [(span_of(answer), truth(doc)) for doc, answer, _ in answered]
    overlaps = [0.0 if span is None else overlap(span, right) for span, right in pairs]
    found = {"mIoU": 100 * mean(overlaps)}
    return found | {f"R@{level:g}": 100 * mean(float(one >= level) for one in overlaps) for level in LEVELS}

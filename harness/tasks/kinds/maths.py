"""Final answers of mathematical questions about pictures, out of reasoning or alone, without a judge."""

from __future__ import annotations

import re
from ast import literal_eval
from string import ascii_uppercase
from typing import Any

from winnow.harness.tasks.benchmark import Reading
from winnow.harness.tasks.choices import Doc
from winnow.harness.tasks.kinds.numbers import first, numbers
from winnow.harness.tasks.letter_marks import BOXED, MARKUP, STYLED, THINKING
from winnow.harness.tasks.letters import read_letter

STATED = re.compile(
    r"(?:\banswer\b|\bresult\b|\btotal\b)[^.\n:=]{0,60}?(?:\bis\b|:|=|≈)\s*(.+?)(?:\.\s|\.$|\n|$)", re.IGNORECASE
)
LIST = re.compile(r"\[[^\[\]]*\]")


def final(answer: str) -> str:
    """What an answer states as its result, in a box or behind "the answer is", last; or nothing."""
    text = STYLED.sub(r"\1", THINKING.sub("", answer))
    stated = BOXED.findall(text) or STATED.findall(MARKUP.sub("", text))
    return str(stated[-1]) if stated else ""


def reasoned(value: Any, answer: str, doc: Doc) -> Reading:
    """Compare the option, number or list of numbers that was settled on with the label, at the label's precision."""
    right = str(doc["answer"]).strip()
    if doc["choices"]:
        letters = dict(zip(ascii_uppercase, map(str, doc["choices"]), strict=False))
        letter = read_letter(answer, letters)
        return Reading(float(letters.get(letter, "").strip() == right), bool(letter), letter)
    text = final(answer) or THINKING.sub("", answer)
    if doc["answer_type"] == "list":
        found = LIST.search(text)
        return Reading(float(_listed(found[0]) == _listed(right)), True) if found else _NONE
    if doc["answer_type"] in {"integer", "float"}:
        number = _number(answer)
        return _NONE if number is None else Reading(float(_written(number, doc) == right), True)
    return Reading(float(text.strip().lower() == right.lower()), bool(text.strip()))


_NONE = Reading(0.0, False)


def _number(answer: str) -> float | None:
    """The number of a result that was stated, or the last of a text that states none."""
    stated = final(answer)
    told = numbers(stated)
    if told:
        return told[0]
    spoken = first(stated)
    return spoken if spoken is not None else next(iter(numbers(THINKING.sub("", answer))[::-1]), None)


def _written(number: float, doc: Doc) -> str:
    if doc["answer_type"] == "integer":
        return str(int(number))
    return str(round(number, int(doc["precision"] or 0)))


def _listed(text: str) -> Any:
    try:
        return literal_eval(text)
    except (SyntaxError, ValueError):
        return text

"""Which of several captions fits a video: captions are called by letters or numbers, `Option 1` or `Sentence A`."""

from __future__ import annotations

import re
from string import ascii_uppercase
from typing import Any

from winnow.harness.tasks.benchmark import Reading
from winnow.harness.tasks.choices import Doc
from winnow.harness.tasks.letters import read_letter

LISTED = re.compile(r"^\s*(?:option|sentence|caption)\s+(\w)\s*:\s*(.*?)\s*$", re.IGNORECASE | re.MULTILINE)
CALLED = re.compile(r"\b(?:option|sentence|caption)\s+([A-D1-4])\b", re.IGNORECASE)
ALONE = re.compile(r"^\W*([1-4])\W*$")


def matched(value: Any, answer: str, doc: Doc) -> Reading:
    """Find the caption that an answer settles on, by its name or its words."""
    listed = LISTED.findall(doc["question"])
    options = {ascii_uppercase[place]: text for place, (_, text) in enumerate(listed)}
    letters = {name.upper(): ascii_uppercase[place] for place, (name, _) in enumerate(listed)}
    right = LISTED.findall(doc["answer"])[0][0].upper()

    def as_letter(found: re.Match[str]) -> str:
        return letters.get(found[1].upper(), found[0])

    said = read_letter(ALONE.sub(as_letter, CALLED.sub(as_letter, _bare(answer))), options)
    return Reading(float(said == letters[right]), bool(said), said)


def _bare(answer: str) -> str:
    """A whole line of the question as its caption's name alone."""
    line = LISTED.fullmatch(answer.strip())
    return answer if line is None else f"Option {line[1]}"

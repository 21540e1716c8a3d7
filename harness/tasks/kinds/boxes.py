"""Boxes around what a sentence describes: how each family writes them, and how well they fit.

The prompt asks for corners from 0 to 1. Families that learned another scale keep to it: thousandths of the picture, or
the pixels of the picture as the processor scaled it, which the grid of its tokens tells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import mean
from typing import Any, Literal

from winnow.harness.tasks.benchmark import Reading
from winnow.harness.tasks.choices import Doc
from winnow.harness.tasks.letter_marks import THINKING

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, from 0 to 1."""
Scale = Literal["thousandths", "pixels"]
SCALES: dict[str, Scale] = {
    "qwen2_vl": "thousandths",
    "qwen2_5_vl": "pixels",
    "qwen3_vl": "thousandths",
    "qwen3_vl_moe": "thousandths",
    "internvl": "thousandths",
}
"""By family, as their papers and model cards say; all others write 0 to 1."""
TOKEN = 28
"""Pixels along the side of a visual token, where boxes are in pixels."""
HIT = 0.5
LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
_N = r"([-+]?\d+(?:\.\d+)?|[-+]?\.\d+)"
_NAMED = re.compile(r"\b(?:[xy](?:_?(?:min|max)|[12])|left|top|right|bottom)\b[\"']?\s*[:=]\s*", re.IGNORECASE)
FOUR = re.compile(rf"(?<![\w.]){_N}\s*[,;]\s*{_N}\s*[)\]]?\s*[,;]?\s*[(\[]?\s*{_N}\s*[,;]\s*{_N}(?![\w])")


def corners(answer: str) -> Box | None:
    """The first four numbers in a row, in the scale that they are written in; reasoning is left out."""
    found = FOUR.search(_NAMED.sub("", THINKING.sub("", answer)))
    return None if found is None else tuple(map(float, found.groups()))  # type: ignore[return-value]


def box_of(answer: str, family: str = "", grids: Sequence[Sequence[int]] = ()) -> Box | None:
    """Read a box, from 0 to 1, its corners in order.

    Parameters
    ----------
    answer : str
    family : str
        Of the model that wrote it.
    grids : sequence of (int, int, int)
        Frames, rows and columns of the visual tokens of the prompt.

    Returns
    -------
    tuple or None
        None: there is none, or its scale cannot be told.
    """
    found, scale = corners(answer), SCALES.get(family)
    if found is None:
        return None
    if max(found) > 1:
        wide, tall = (1000.0, 1000.0) if scale == "thousandths" else _pixels(scale, grids)
        found = (found[0] / wide, found[1] / tall, found[2] / wide, found[3] / tall)
    left, right = sorted((found[0], found[2]))
    top, bottom = sorted((found[1], found[3]))
    return None if max(right, bottom) > 2 or min(left, top) < -1 else (left, top, right, bottom)


def _pixels(scale: Scale | None, grids: Sequence[Sequence[int]]) -> tuple[float, float]:
    if scale is None or not grids:
        return 1.0, 1.0
    return float(TOKEN * grids[0][2]), float(TOKEN * grids[0][1])


def as_asked(answer: str, family: str, grids: Sequence[Sequence[int]]) -> str:
    """Write a box as the prompt asks for it; nothing where there is none."""
    box = box_of(answer, family, grids)
    return "" if box is None else "[" + ", ".join(f"{max(side, 0):.6f}" for side in box) + "]"


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes whose corners are in order."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    tall = min(one[3], other[3]) - max(one[1], other[1])
    shared = max(wide, 0.0) * max(tall, 0.0)
    union = _area(one) + _area(other) - shared
    return shared / union if union > 0 else 0.0


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def boxed(value: Any, answer: str, doc: Doc) -> Reading:
    """Whether a box covers what it should by half."""
    box = box_of(answer)
    return Reading(float(box is not None and overlap(box, doc["bbox"]) >= HIT), box is not None)


def fits(answered: Sequence[tuple[Doc, str, float]]) -> dict[str, float]:
    """The mean overlap, the accuracy at each level of it, and how often the box's centre lies within the truth."""
    pairs = [(tuple(doc["bbox"]), box_of(answer)) for doc, answer, _ in answered]
    overlaps = [0.0 if box is None else overlap(box, right) for right, box in pairs]
    found = {"IoU": 100 * mean(overlaps)}
    found |= {f"ACC@{level:g}": 100 * mean(float(one >= level) for one in overlaps) for level in LEVELS}
    return found | {"centre": 100 * mean(float(box is not None and _centred(box, right)) for right, box in pairs)}


def _centred(box: Box, right: Box) -> bool:
    across, down = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return right[0] <= across <= right[2] and right[1] <= down <= right[3]

"""A question with its pictures, before any model has seen it."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from PIL import Image


@dataclass(frozen=True, eq=False)
class Prompt:
    """One question.

    Parameters
    ----------
    text : str
        The question, without placeholders.
    videos : list of ndarray
        Decoded frames, each ``(frames, height, width, 3)`` uint8.
    images : list of Image
        Still pictures.
    """

    text: str
    videos: list[np.ndarray] = field(default_factory=list)
    images: list[Image.Image] = field(default_factory=list)

"""A question with its pictures, before any model has seen it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a machine that only times models needs neither
    import numpy as np
    from PIL import Image

SAMPLED = 2.0
"""Frames per second that are assumed of a video whose rate is not known."""


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
    rates : list of float
        Frames per second at which each video was sampled, for models that are told the time; empty: not known.
    then : str
        A question to ask in the same conversation, once this one is answered; empty: none.
    """

    text: str
    videos: list[np.ndarray] = field(default_factory=list)
    images: list[Image.Image] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    then: str = ""

    @property
    def frame_rates(self) -> list[float]:
        """One rate per video; where it is not known, the `SAMPLED` of Qwen's own processors."""
        return self.rates or [SAMPLED] * len(self.videos)

    @property
    def clocks(self) -> list[dict[str, Any]]:
        """What processors read the time of each video's frames from."""
        films = zip(self.videos, self.frame_rates, strict=True)
        return [
            {
                "total_num_frames": len(film),
                "fps": rate,
                "duration": len(film) / rate,
                "frames_indices": list(range(len(film))),
            }
            for film, rate in films
        ]

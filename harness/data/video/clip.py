"""Frames of a video, with where they stand in it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


Allocate = Callable[[tuple[int, ...]], "np.ndarray"]
"""Makes an empty array of bytes: a place that another process sees needs no copy."""


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of a video.

    Attributes
    ----------
    frames : ndarray
        RGB, shape ``(frames, height, width, 3)``, uint8.
    indices : list of int
        Which of the frames that the video shows, counted from 0.
    seconds : list of float
        When each is shown, from the beginning of the video.
    rate : float
        Frames a second among those delivered.
    reader : str
        What read them.
    damage : str
        What is wrong with the file, where damaged ones are accepted; empty: nothing.
    """

    frames: np.ndarray
    indices: list[int]
    seconds: list[float]
    rate: float
    reader: str
    damage: str = ""

    @property
    def facts(self) -> dict[str, Any]:
        """All but the pixels."""
        return {name: value for name, value in vars(self).items() if name != "frames"}


def uniform_indices(total: int, frames: int) -> list[int]:
    """Indices of `frames` frames, evenly spread from the first to the last of `total`; a short video repeats some.

    Fractions are cut off, as the loaders of LLaVA-NeXT, LongVA and lmms-eval do (``np.linspace(…, dtype=int)``).
    """
    import numpy as np

    return [int(index) for index in np.linspace(0, total - 1, frames, dtype=int)]


def wanted(total: int, frames: int, until: int | None) -> list[int]:
    """The indices of a question that may look up to frame `until`.

    Raises
    ------
    ValueError
        If there are no frames.
    """
    if total < 1:
        raise ValueError("it has no frames")
    return uniform_indices(total if until is None else max(1, min(total, until + 1)), frames)


def rate_of(seconds: Sequence[float], whole: float) -> float:
    """Frames a second among those delivered; of a single moment, one in the `whole` seconds of the video."""
    span = seconds[-1] - seconds[0] or whole
    return max(1, len(seconds) - 1) / span if span > 0 else 1.0


def private(shape: tuple[int, ...]) -> np.ndarray:
    """Allocate in this process."""
    import numpy as np

    return np.empty(shape, np.uint8)


@dataclass(eq=False)
class Sheet:
    """The frames asked for, each put into its place as it comes, so that no second copy of all of them exists."""

    indices: Sequence[int]
    allocate: Allocate = private
    frames: np.ndarray | None = None
    done: set[int] = field(default_factory=set)

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the first frame that came, which all others get."""
        return None if self.frames is None else (self.frames.shape[1], self.frames.shape[2])

    def put(self, index: int, frame: np.ndarray) -> None:
        """Take in a frame, wherever it was asked for."""
        if self.frames is None:
            self.frames = self.allocate((len(self.indices), *frame.shape))
        for place in [place for place, asked in enumerate(self.indices) if asked == index]:
            self.frames[place] = frame
        self.done.add(index)

    def whole(self) -> np.ndarray:
        """All frames.

        Raises
        ------
        ValueError
            If one is missing.
        """
        if self.frames is None or self.done < set(self.indices):
            raise ValueError("frames are missing")
        return self.frames

"""What is drawn and may be asked about: a scene, a printed number, or a film with a brief event."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.models.pico.films import place, sample_film, sample_number
from winnow.models.pico.questions import (
    IMAGE_TYPES,
    VIDEO_TYPES,
    Question,
    ask,
    ask_brief,
    ask_number,
    ask_place,
    fewest_things,
    with_letters,
)
from winnow.models.pico.world import FILM, FRAMES, Scene, Thing, render, sample_scene

LENGTHS = {"video": FRAMES, "image": 1, "film": FILM}
LETTERED = {
    "video": ("color", "shape", "first", "last", "count", "place"),
    "image": ("color", "shape", "count", "place"),
}


@dataclass(frozen=True)
class Shot:
    """Something to look at.

    Attributes
    ----------
    medium
        "video", "image" or "film".
    things
        The things in order of appearance.
    digits
        The two digits of a printed number, or nothing.
    brief
        Index of the brief event of a film.
    """

    medium: str
    things: Scene
    digits: Scene = ()
    brief: int | None = None

    @property
    def drawn(self) -> tuple[Thing, ...]:
        """All that is drawn: the things, then the digits."""
        return (*self.things, *self.digits)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return LENGTHS[self.medium]

    def render(self, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Draw the frames, and count the pixels of each thing per cell (see `world.render`)."""
        return render(rng, self.drawn, self.frames)


def sample_shot(rng: np.random.Generator, medium: str, number: float = 0.0) -> Shot:
    """Draw a shot; a video or picture holds a printed number with the given probability."""
    if medium == "film":
        scene, brief = sample_film(rng)
        return Shot(medium, scene, brief=brief)
    scene = sample_scene(rng, LENGTHS[medium])
    return Shot(medium, scene, sample_number(rng, scene, LENGTHS[medium]) if rng.random() < number else ())


def kinds(shot: Shot) -> tuple[str, ...]:
    """Return the types of question that a shot can be asked, but for those with letters."""
    if shot.brief is not None:
        return ("brief", "color", "shape")
    asked = VIDEO_TYPES if shot.medium == "video" else IMAGE_TYPES
    more = ("place",) * any(place(thing) for thing in shot.things) + ("number",) * bool(shot.digits)
    return (*(kind for kind in asked if len(shot.things) >= fewest_things(kind)), *more)


def ask_shot(rng: np.random.Generator, shot: Shot, kind: str, letters: int = 0) -> Question:
    """Draw a question of one of the shot's kinds, with so many options if any."""
    if kind == "place":
        question = ask_place(rng, shot.things)
    elif kind == "number":
        question = ask_number(shot.drawn)
    elif kind == "brief" and shot.brief is not None:
        question = ask_brief(rng, shot.things, shot.brief)
    else:
        question = ask(rng, shot.things, kind)
    return with_letters(rng, question, letters) if letters else question

"""Scenes of other kinds than `world.sample_scene` draws: printed numbers, and long films with a brief event."""

import numpy as np

from winnow.models.pico.world import COLORS, DIGITS, FILM, FRAMES, GRID, PATCH, SHAPES, Scene, Thing, shift

PLACES = ("top left", "top right", "bottom left", "bottom right")
_DIGIT_SIZE = 10
_BRIEF, _LONG = (1, 3), (8, 25)


def place(thing: Thing) -> str | None:
    """Name the quarter of the picture in which a thing stays, None if it crosses or touches the middle."""
    rows, columns = ({cell[axis] - GRID // 2 for cell in thing.cells} for axis in (0, 1))
    sides = [min(side) > 0 if min(side) > 0 or max(side) < 0 else None for side in (rows, columns)]
    return None if None in sides else PLACES[2 * bool(sides[0]) + bool(sides[1])]


def sample_number(rng: np.random.Generator, scene: Scene, frames: int = FRAMES) -> Scene:
    """Draw a number of two digits of one colour, side by side where no thing of the scene is.

    Returns
    -------
    tuple of Thing
        Two things that rest, the left digit first; in a video they are seen for two to five frames.
    """
    taken = {(frame, *cell) for thing in scene for frame, cell in zip(thing.frames, thing.cells, strict=True)}
    while True:
        start = int(rng.integers(frames - 1)) if frames > 1 else 0
        length = min(int(rng.integers(2, 6)), frames - start)
        row, column = int(rng.integers(GRID)), int(rng.integers(GRID - 1))
        cells = [(row, column), (row, column + 1)]
        if not any((frame, *cell) in taken for frame in range(start, start + length) for cell in cells):
            break
    color = int(rng.integers(len(COLORS)))
    dy, dx = (int(value) for value in rng.integers(0, PATCH - _DIGIT_SIZE + 1, 2))
    digits = (len(SHAPES) + int(digit) for digit in rng.integers(len(DIGITS), size=2))
    return tuple(
        Thing(color, digit, start, (cell,) * length, _DIGIT_SIZE, (dy, dx))
        for digit, cell in zip(digits, cells, strict=True)
    )


def sample_film(rng: np.random.Generator, frames: int = FILM) -> tuple[Scene, int]:
    """Draw a long film: one to three things that rest for long, and one that is seen for one or two frames.

    Returns
    -------
    scene : tuple of Thing
        In order of appearance.
    brief : int
        Index of the thing that is the brief event.
    """
    number = int(rng.integers(2, 5))
    colors, shapes = rng.permutation(len(COLORS))[:number], rng.permutation(len(SHAPES))[:number]
    cells = rng.permutation(GRID * GRID)[:number]
    starts = rng.permutation(frames - _BRIEF[1])[:number]
    things = []
    for i in range(number):
        length = min(int(rng.integers(*(_LONG if i else _BRIEF))), frames - int(starts[i]))
        size = int(rng.integers(9, 12))
        offset = shift(rng, size)
        cell = (int(cells[i]) // GRID, int(cells[i]) % GRID)
        things.append(Thing(int(colors[i]), int(shapes[i]), int(starts[i]), (cell,) * length, size, offset))
    ordered = sorted(things, key=lambda thing: thing.start)
    return tuple(ordered), ordered.index(things[0])

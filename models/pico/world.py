"""The world of pico: small videos of coloured shapes on a textured background, drawn with numpy alone.

A video has `FRAMES` frames of `SIZE` x `SIZE` pixels, a film `FILM`. One to four things with distinct colours and
distinct shapes appear at distinct frames, stay for two to five frames, and either rest in one cell of the `GRID` x
`GRID` patch grid or drift one cell per frame. An image is a scene of one frame. Everything follows from a seed, a split
and an index. `films` draws printed numbers and long films.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRAMES = 8
FILM = 64
PATCH = 12
GRID = 5
SIZE = PATCH * GRID
SPLITS = ("dev", "test")
COLORS = ("red", "green", "blue", "yellow", "purple", "cyan", "orange", "white")
SHAPES = ("circle", "square", "triangle", "cross", "diamond", "ring")
DIGITS = "0123456789"
MOST = 4

_RGB = np.array(
    [
        [0.90, 0.10, 0.10],
        [0.10, 0.75, 0.15],
        [0.15, 0.25, 0.95],
        [0.95, 0.90, 0.10],
        [0.65, 0.10, 0.80],
        [0.10, 0.85, 0.90],
        [1.00, 0.55, 0.05],
        [1.00, 1.00, 1.00],
    ],
    dtype=np.float32,
)
_STEPS = ((0, -1), (0, 1), (-1, 0), (1, 0))
_COUNT_WEIGHTS = (0.2, 0.25, 0.27, 0.28)

FloatArray = NDArray[np.float32]
Cell = tuple[int, int]


@dataclass(frozen=True)
class Thing:
    """One object of a scene.

    Attributes
    ----------
    color, shape
        Indices into `COLORS` and `SHAPES`; printed digits follow the shapes.
    start
        First frame in which it is seen.
    cells
        Its (row, column) in each frame in which it is seen.
    size
        Height and width in pixels, 9 to 11.
    shift
        Offset in pixels from the cell's top left corner; it may spill one pixel over an edge.
    """

    color: int
    shape: int
    start: int
    cells: tuple[Cell, ...]
    size: int
    shift: tuple[int, int]

    @property
    def frames(self) -> range:
        """The frames in which the thing is seen."""
        return range(self.start, self.start + len(self.cells))


Scene = tuple[Thing, ...]


def generator(seed: int, split: str, index: int) -> np.random.Generator:
    """Return the random stream that belongs to one item of one split."""
    return np.random.default_rng([seed, SPLITS.index(split), index])


def shape_mask(shape: int, size: int) -> NDArray[np.bool_]:
    """Draw a shape.

    Parameters
    ----------
    shape
        Index into `SHAPES`, or behind them into `DIGITS`.
    size
        Height and width in pixels.

    Returns
    -------
    numpy.ndarray
        Boolean mask of shape (size, size).
    """
    if shape >= len(SHAPES):
        return digit_mask(shape - len(SHAPES), size)
    y, x = np.mgrid[0:size, 0:size]
    radius = (size - 1) / 2
    dy, dx = np.abs(y - radius), np.abs(x - radius)
    distance = np.hypot(dy, dx)
    disc = distance <= radius + 0.3
    masks = (
        disc,
        np.maximum(dy, dx) <= radius - 0.9,
        dx <= (y + 0.6) / 2,
        np.minimum(dy, dx) <= 1.1,
        dx + dy <= radius + 0.2,
        disc & (distance >= radius - 1.9),
    )
    return np.asarray(masks[shape], dtype=np.bool_)


_FONT = (
    "### .#. ### ### #.# ### ### ### ### ###",
    "#.# ##. ..# ..# #.# #.. #.. ..# #.# #.#",
    "#.# .#. ### ### ### ### ### .#. ### ###",
    "#.# .#. #.. ..# ..# ..# #.# .#. #.# ..#",
    "### ### ### ### ..# ### ### .#. ### ###",
)


def digit_mask(digit: int, size: int) -> NDArray[np.bool_]:
    """Draw a digit of three by five squares of two pixels in the middle of a mask of shape (size, size)."""
    glyph = np.array([[point == "#" for point in row.split()[digit]] for row in _FONT]).repeat(2, 0).repeat(2, 1)
    mask = np.zeros((size, size), dtype=np.bool_)
    left, rows = (size - 6) // 2, min(size, 10)
    mask[:rows, left : left + 6] = glyph[:rows]
    return mask


_MASKS = {(shape, size): shape_mask(shape, size) for shape in range(len(SHAPES) + len(DIGITS)) for size in (9, 10, 11)}


def sample_scene(rng: np.random.Generator, frames: int = FRAMES, count: int | None = None) -> Scene:
    """Draw a scene.

    Parameters
    ----------
    rng
        Source of randomness.
    frames
        `FRAMES` for a video, 1 for an image.
    count
        Number of things; drawn from one to four when None.

    Returns
    -------
    tuple of Thing
        In order of appearance; in an image, where all appear at once, in reading order.
    """
    number = int(rng.choice(MOST, p=_COUNT_WEIGHTS)) + 1 if count is None else count
    colors, shapes = rng.permutation(len(COLORS))[:number], rng.permutation(len(SHAPES))[:number]
    starts = rng.permutation(frames - 1)[:number] if frames > 1 else np.zeros(number, dtype=int)
    things: list[Thing] = []
    taken: set[tuple[int, int, int]] = set()
    for color, shape, start in zip(colors, shapes, starts, strict=True):
        cells = _free_path(rng, int(start), frames, taken)
        size = int(rng.integers(9, 12))
        things.append(Thing(int(color), int(shape), int(start), cells, size, shift(rng, size)))
        taken.update((int(start) + i, *cell) for i, cell in enumerate(cells))
    return tuple(sorted(things, key=lambda thing: (thing.start, thing.cells[0])))


def shift(rng: np.random.Generator, size: int) -> tuple[int, int]:
    """Draw the offset of a thing of a size from its cell's corner, as `Thing.shift` may be."""
    dy, dx = rng.integers(-1, PATCH - size + 2, 2)
    return int(dy), int(dx)


def _free_path(rng: np.random.Generator, start: int, frames: int, taken: set[tuple[int, int, int]]) -> tuple[Cell, ...]:
    """Draw the cells of a thing such that it meets no other."""
    while True:
        length = min(int(rng.integers(2, 6)), frames - start)
        step = np.array(_STEPS[rng.integers(len(_STEPS))]) if rng.random() < 0.5 else np.zeros(2, dtype=int)
        reach = step * (length - 1)
        low, high = np.maximum(0, -reach), GRID - np.maximum(0, reach)
        origin = rng.integers(low, high)
        cells = tuple((int(y), int(x)) for y, x in origin + step * np.arange(length)[:, None])
        if not any((start + i, *cell) in taken for i, cell in enumerate(cells)):
            return cells


def background(rng: np.random.Generator, frames: int) -> FloatArray:
    """Draw a gently textured background with grey clutter, still but for noise.

    Returns
    -------
    numpy.ndarray
        Shape (frames, SIZE, SIZE, 3), values about 0 to 1.
    """
    base = rng.uniform(0.15, 0.6) + rng.uniform(-0.08, 0.08, 3)
    coarse = rng.uniform(-0.14, 0.14, (6, 6)).repeat(SIZE // 6, 0).repeat(SIZE // 6, 1)
    texture = (coarse + sum(np.roll(coarse, by, axis) for by in (-2, 2) for axis in (0, 1))) / 5
    still = base + texture[..., None]
    for _ in range(rng.integers(2, 6)):
        height, width = rng.integers(2, 16, 2)
        y, x = rng.integers(0, SIZE - 2, 2)
        still[y : y + height, x : x + width] = rng.uniform(0.1, 0.75) + rng.uniform(-0.07, 0.07, 3)
    noise = 0.05 * rng.standard_normal((frames, SIZE, SIZE, 1), dtype=np.float32)
    return still.astype(np.float32) + noise


def render(
    rng: np.random.Generator, scene: Sequence[Thing], frames: int = FRAMES
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Draw the frames of a scene.

    Parameters
    ----------
    rng
        Source of the background and of the noise.
    scene
        The things to draw.
    frames
        Number of frames.

    Returns
    -------
    pixels : numpy.ndarray
        RGB frames, shape (frames, SIZE, SIZE, 3), uint8.
    coverage : numpy.ndarray
        Pixels of each thing in each cell, shape (frames, GRID, GRID, len(scene)).
    """
    canvas = background(rng, frames)
    owner = np.zeros((frames, SIZE, SIZE), dtype=np.int64)
    for number, thing in enumerate(scene, start=1):
        tint = _RGB[thing.color] * rng.uniform(0.85, 1.0)
        mask = _MASKS[thing.shape, thing.size]
        for frame, cell in zip(thing.frames, thing.cells, strict=True):
            y, x = (
                min(max(PATCH * place + shift, 0), SIZE - thing.size)
                for place, shift in zip(cell, thing.shift, strict=True)
            )
            window = slice(y, y + thing.size), slice(x, x + thing.size)
            canvas[frame][window][mask] = tint + 0.04 * rng.standard_normal((int(mask.sum()), 1))
            owner[frame][window][mask] = number
    return np.round(255 * canvas.clip(0, 1)).astype(np.uint8), _per_cell(owner, len(scene))


def _per_cell(owner: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Count the pixels of each thing in each cell."""
    patches = owner.reshape(-1, GRID, PATCH, GRID, PATCH).transpose(0, 1, 3, 2, 4).reshape(-1, GRID, GRID, PATCH**2)
    return np.stack([(patches == thing).sum(-1) for thing in range(1, number + 1)], axis=-1)

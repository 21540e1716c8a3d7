"""The world of pico: scenes, printed numbers, films, and what is drawn of them."""

import hashlib

import numpy as np
import pytest

from winnow.models.pico.films import PLACES, place, sample_film, sample_number
from winnow.models.pico.questions import relevance
from winnow.models.pico.shots import Shot, sample_shot
from winnow.models.pico.training.packing import shot_labels
from winnow.models.pico.training.tower import patch_labels
from winnow.models.pico.world import (
    DIGITS,
    FILM,
    FRAMES,
    GRID,
    PATCH,
    SHAPES,
    SIZE,
    SPLITS,
    Scene,
    Thing,
    generator,
    render,
    sample_scene,
    shape_mask,
)


def scene_of_two() -> Scene:
    """Build a red circle resting in cell (1, 2) from frame 0, then a green ring drifting right from frame 3."""
    circle = Thing(color=0, shape=0, start=0, cells=((1, 2), (1, 2)), size=10, shift=(1, 1))
    ring = Thing(color=1, shape=5, start=3, cells=((4, 0), (4, 1), (4, 2)), size=10, shift=(1, 1))
    return circle, ring


def test_world_is_deterministic() -> None:
    """The same seed, split and index give the same pixels; the benchmark's version rests on it."""
    digest = hashlib.sha256()
    for index in range(4):
        rng = generator(7, "test", index)
        digest.update(render(rng, sample_scene(rng))[0].tobytes())
    assert digest.hexdigest() == "64973004673f03cf9f332e51e1ed726293baf74898355188f03a308864cd7429"


def test_splits_share_no_scene() -> None:
    """Streams of different splits draw different scenes."""
    drawn = [{sample_scene(generator(3, split, index)) for index in range(200)} for split in SPLITS]
    assert not set.intersection(*drawn)


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_scenes_keep_their_promises(frames: int) -> None:
    """Names are distinct, starts are distinct in a video, and no two things share a cell."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        scene = sample_scene(rng, frames)
        assert len({t.color for t in scene}) == len({t.shape for t in scene}) == len(scene) <= 4
        assert frames == 1 or len({t.start for t in scene}) == len(scene)
        places = [(f, *cell) for t in scene for f, cell in zip(t.frames, t.cells, strict=True)]
        assert len(set(places)) == len(places)
        assert all(0 <= f < frames and 0 <= y < GRID and 0 <= x < GRID for f, y, x in places)


def test_relevance_marks_the_cells_of_the_target() -> None:
    """Pixels of the asked thing are counted where it is, and nowhere else."""
    frames, coverage = render(np.random.default_rng(0), scene_of_two())
    assert frames.shape == (FRAMES, SIZE, SIZE, 3)
    marks = np.array(relevance(coverage, [0])).reshape(FRAMES, GRID, GRID)
    assert set(zip(*np.nonzero(marks), strict=True)) == {(0, 1, 2), (1, 1, 2)}
    patch = frames[0, PATCH : 2 * PATCH, 2 * PATCH : 3 * PATCH]
    assert patch[6, 6, 0] > 180 > 60 > patch[6, 6, 1]
    both = np.array(relevance(coverage, [0, 1])).reshape(FRAMES, GRID, GRID)
    assert {(3, 4, 0), (4, 4, 1), (5, 4, 2)} == set(zip(*np.nonzero(both), strict=True)) - {(0, 1, 2), (1, 1, 2)}


def test_digits_differ() -> None:
    """No digit looks like another, whole at the size in which they are printed."""
    masks = {shape_mask(len(SHAPES) + digit, 10).tobytes() for digit in range(len(DIGITS))}
    assert len(masks) == len(DIGITS)


def test_places() -> None:
    """A thing stays in a quarter if it never touches the middle row or column."""
    names = {}
    for row in range(GRID):
        for column in range(GRID):
            names[row, column] = place(Thing(0, 0, 0, ((row, column),) * 2, 10, (0, 0)))
    assert [names[0, 0], names[1, 4], names[4, 1], names[3, 3]] == list(PLACES)
    assert all((name is None) == (2 in cell) for cell, name in names.items())
    assert place(Thing(0, 0, 0, ((0, 1), (0, 2)), 10, (0, 0))) is None


@pytest.mark.parametrize("frames", [1, FRAMES])
def test_numbers_stand_side_by_side(frames: int) -> None:
    """Two digits of one colour, the left one first, where nothing else is."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        scene = sample_scene(rng, frames)
        left, right = sample_number(rng, scene, frames)
        (row, column), others = left.cells[0], [(f, c) for t in scene for f, c in zip(t.frames, t.cells, strict=True)]
        assert right.cells[0] == (row, column + 1) and left.frames == right.frames and left.color == right.color
        own = [(f, c) for t in (left, right) for f, c in zip(t.frames, t.cells, strict=True)]
        assert not set(own) & set(others) and all(0 <= f < frames for f, _ in own)


def test_films_hold_a_brief_event() -> None:
    """One thing is seen for one or two of 64 frames, the others for many; names are distinct."""
    rng = np.random.default_rng(0)
    for _ in range(100):
        scene, brief = sample_film(rng)
        lengths = [len(thing.cells) for thing in scene]
        assert lengths.pop(brief) in (1, 2) and min(lengths) >= 3
        assert len({t.color for t in scene}) == len({t.shape for t in scene}) == len(scene)
        assert max(t.frames[-1] for t in scene) < FILM and len({t.cells[0] for t in scene}) == len(scene)


@pytest.mark.parametrize("medium", ["image", "video", "film"])
def test_labels_are_what_is_drawn(medium: str) -> None:
    """The labels of the words stage, which draws nothing, are those of the drawn picture."""
    rng = np.random.default_rng(1)
    for _ in range(4):
        shot = sample_shot(rng, medium, number=1.0)
        frames, coverage = shot.render(rng)
        assert frames.shape == (shot.frames, SIZE, SIZE, 3)
        np.testing.assert_array_equal(shot_labels(shot), patch_labels(shot.drawn, coverage))


def test_a_shot_draws_things_before_digits() -> None:
    """Targets count through both."""
    digits = sample_number(np.random.default_rng(0), scene_of_two())
    assert Shot("video", scene_of_two(), digits).drawn == (*scene_of_two(), *digits)

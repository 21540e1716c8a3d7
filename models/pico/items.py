"""The benchmark's items: which shot and which question stand at each place of each split; all from seeds.

Answers are balanced within each topic, so that the text of a question alone tells nothing. What is drawn here is never
drawn in training (`held_out`).
"""

from functools import cache

import numpy as np

from winnow.models.pico.films import PLACES, place
from winnow.models.pico.questions import (
    IMAGE_TYPES,
    VIDEO_TYPES,
    Question,
    ask,
    ask_place,
    balanced_count,
    fewest_things,
    with_letters,
)
from winnow.models.pico.shots import LENGTHS, LETTERED, Shot, ask_shot, sample_shot
from winnow.models.pico.world import SPLITS, Thing, generator, sample_scene

SIZE = 300
SEEDS = {
    "video": 271828,
    "image": 314159,
    "place": 141421,
    "number": 173205,
    "letter": 223606,
    "second": 244948,
    "film": 264575,
}
MEDIA = {topic: topic if topic in LENGTHS else "video" for topic in SEEDS}


def draw_item(topic: str, split: str, index: int) -> tuple[np.random.Generator, Shot, Question]:
    """Draw one item.

    Parameters
    ----------
    topic
        A key of `SEEDS`.
    split
        "test" or "dev".
    index
        Its number; types of question take turns. Two items in a row of topic "second" are about one video.

    Returns
    -------
    numpy.random.Generator
        The stream that goes on to render the shot.
    Shot
        What is drawn.
    Question
        Its targets are indices into what is drawn.
    """
    rng = generator(SEEDS[topic], split, index // 2 if topic == "second" else index)
    shot, question = _DRAW.get(topic, _draw_other)(rng, topic, index)
    return rng, shot, question


def _draw_plain(rng: np.random.Generator, topic: str, index: int) -> tuple[Shot, Question]:
    types = VIDEO_TYPES if topic == "video" else IMAGE_TYPES
    kind, turn = types[index % len(types)], index // len(types)
    count = balanced_count(turn, kind) if kind == "count" else None
    scene = sample_scene(rng, LENGTHS[topic], count)
    while len(scene) < fewest_things(kind):
        scene = sample_scene(rng, LENGTHS[topic])
    return Shot(topic, scene), ask(rng, scene, kind, present=turn % 2 == 0)


def _draw_place(rng: np.random.Generator, _: str, index: int) -> tuple[Shot, Question]:
    where = PLACES[index % len(PLACES)]
    shot = sample_shot(rng, "video")
    while not any(place(thing) == where for thing in shot.things):
        shot = sample_shot(rng, "video")
    return shot, ask_place(rng, shot.things, where)


def _draw_letter(rng: np.random.Generator, _: str, index: int) -> tuple[Shot, Question]:
    types = LETTERED["video"]
    kind, turn = types[index % len(types)], index // len(types)
    shot = sample_shot(rng, "video")
    while len(shot.things) < fewest_things(kind) or (kind == "place" and not any(map(place, shot.things))):
        shot = sample_shot(rng, "video")
    options = 3 + turn % 2
    return shot, with_letters(rng, ask_shot(rng, shot, kind), options, turn // 2 % options)


def _draw_second(rng: np.random.Generator, _: str, index: int) -> tuple[Shot, Question]:
    turn, number = index // 2, len(VIDEO_TYPES)
    scene = sample_scene(rng, count=2 + turn % 3)
    kinds = VIDEO_TYPES[turn % number], VIDEO_TYPES[(turn + 1 + turn // number % (number - 1)) % number]
    asked = [ask(rng, scene, kind, present=turn // number % 2 == 0) for kind in kinds]
    return Shot("video", scene), asked[index % 2]


def _draw_other(rng: np.random.Generator, topic: str, _: int) -> tuple[Shot, Question]:
    shot = sample_shot(rng, MEDIA[topic], number=1.0)
    return shot, ask_shot(rng, shot, "brief" if topic == "film" else topic)


_DRAW = {
    "video": _draw_plain,
    "image": _draw_plain,
    "place": _draw_place,
    "letter": _draw_letter,
    "second": _draw_second,
}


@cache
def held_out() -> frozenset[tuple[Thing, ...]]:
    """Return what is drawn in any item, so that training can leave it out."""
    return frozenset(
        draw_item(topic, split, index)[1].drawn for topic in SEEDS for split in SPLITS for index in range(SIZE)
    )

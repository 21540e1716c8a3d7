"""Questions about scenes, each answered by a word or two, and the words that pico knows."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from winnow.models.pico.films import PLACES, place
from winnow.models.pico.world import COLORS, DIGITS, MOST, SHAPES, Scene, Thing

NUMBERS = ("one", "two", "three", "four")
PAD, BOS, EOS, UNK, IMAGE = "<pad>", "<s>", "</s>", "<unk>", "<image>"
SPECIAL_WORDS = (PAD, BOS, EOS, UNK, IMAGE)
_PLAIN_WORDS = (
    "user assistant what which color shape is the object appears first last how many objects are there a an yes no ?"
)
LETTERS = "ABCDE"
_NEW_WORDS = "where number written top bottom left right middle . , : ( )"
CONTINUED = "##"
VOCABULARY = (
    *SPECIAL_WORDS, *_PLAIN_WORDS.split(), *COLORS, *SHAPES, *NUMBERS, *_NEW_WORDS.split(), *LETTERS, *DIGITS,
    *(CONTINUED + digit for digit in DIGITS), "describe", "then",
)  # fmt: skip
VIDEO_TYPES = ("color", "shape", "first", "last", "count", "exist")
IMAGE_TYPES = ("color", "shape", "count", "exist")
TYPES = (*VIDEO_TYPES, "place", "number", "brief", "letter")

# Things that are not there: shape and colour of two things swapped, only the shape is new, only the colour, both.
_SWAP, _NEW_SHAPE, _NEW_COLOR = 0.35, 0.6, 0.8


@dataclass(frozen=True)
class Question:
    """A question about one scene.

    Attributes
    ----------
    type
        One of `TYPES`.
    text
        Words separated by blanks, options by line ends.
    answer
        One word, two for a place, a letter where there are options.
    targets
        Indices of the things that have to be seen to answer.
    """

    type: str
    text: str
    answer: str
    targets: tuple[int, ...]


def color(thing: Thing) -> str:
    """Name a thing's colour."""
    return COLORS[thing.color]


def shape(thing: Thing) -> str:
    """Name a thing's shape."""
    return SHAPES[thing.shape]


def fewest_things(kind: str) -> int:
    """Return how many things a scene needs for a question of this type to make sense."""
    return 2 if kind in ("first", "last") else 1


def ask(rng: np.random.Generator, scene: Scene, kind: str, present: bool | None = None) -> Question:
    """Draw a question.

    Parameters
    ----------
    rng
        Source of randomness.
    scene
        Things in order of appearance, at least `fewest_things(kind)`.
    kind
        One of `VIDEO_TYPES`; "first" and "last" need a video.
    present
        Whether the answer to "exist" is yes; drawn evenly when None.

    Returns
    -------
    Question
        The targets are the asked thing, or all of them where the answer depends on all.
    """
    everything = tuple(range(len(scene)))
    chosen = int(rng.integers(len(scene)))
    thing = scene[chosen]
    if kind == "color":
        return Question(kind, f"what color is the {shape(thing)} ?", color(thing), (chosen,))
    if kind == "shape":
        return Question(kind, f"what shape is the {color(thing)} object ?", shape(thing), (chosen,))
    if kind in ("first", "last"):
        thing = scene[0 if kind == "first" else -1]
        attribute, answer = ("color", color(thing)) if rng.random() < 0.5 else ("shape", shape(thing))
        return Question(kind, f"which {attribute} appears {kind} ?", answer, everything)
    if kind == "count":
        return Question(kind, "how many objects are there ?", NUMBERS[len(scene) - 1], everything)
    if kind == "exist":
        return _exist(rng, scene, chosen, rng.random() < 0.5 if present is None else present)
    raise ValueError(f"unknown question type {kind!r}; known are {', '.join(VIDEO_TYPES)}")


def _exist(rng: np.random.Generator, scene: Scene, chosen: int, present: bool) -> Question:
    """Ask for a thing that is there or, as in POPE's adversarial split, mostly for one that nearly is."""
    hue, form = scene[chosen].color, scene[chosen].shape
    if not present:
        trap = rng.random()
        if trap < _SWAP and len(scene) > 1:
            form = scene[(chosen + int(rng.integers(1, len(scene)))) % len(scene)].shape
        else:
            if trap < _NEW_SHAPE or trap > _NEW_COLOR:
                form = _other(rng, {thing.shape for thing in scene}, len(SHAPES))
            if trap > _NEW_SHAPE:
                hue = _other(rng, {thing.color for thing in scene}, len(COLORS))
    targets = tuple(i for i, thing in enumerate(scene) if thing.color == hue or thing.shape == form)
    article = "an" if COLORS[hue][0] in "aeiou" else "a"
    return Question("exist", f"is there {article} {COLORS[hue]} {SHAPES[form]} ?", "yes" if present else "no", targets)


def _other(rng: np.random.Generator, used: set[int], number: int) -> int:
    """Draw an index that is not in use."""
    return int(rng.choice([i for i in range(number) if i not in used]))


def ask_place(rng: np.random.Generator, scene: Scene, where: str | None = None) -> Question:
    """Ask in which quarter a thing stays; at least one has to stay in one, and in `where` if that is given."""
    known = [i for i, thing in enumerate(scene) if place(thing) and where in (None, place(thing))]
    chosen = int(rng.choice(known))
    return Question("place", f"where is the {shape(scene[chosen])} ?", str(place(scene[chosen])), (chosen,))


def ask_number(scene: Scene) -> Question:
    """Ask for the printed number, whose digits are the last two things of what is drawn."""
    digits = "".join(DIGITS[thing.shape - len(SHAPES)] for thing in scene[-2:])
    return Question("number", "what number is written ?", digits, (len(scene) - 2, len(scene) - 1))


def ask_brief(rng: np.random.Generator, scene: Scene, brief: int) -> Question:
    """Ask about the brief event of a film, by its colour or its shape."""
    thing = scene[brief]
    if rng.random() < 0.5:
        return Question("brief", f"what color is the {shape(thing)} ?", color(thing), (brief,))
    return Question("brief", f"what shape is the {color(thing)} object ?", shape(thing), (brief,))


def with_letters(rng: np.random.Generator, question: Question, options: int, right: int | None = None) -> Question:
    """Offer options, as the prompts of other benchmarks do.

    Parameters
    ----------
    rng
        Source of randomness.
    question
        Its answer is a colour, a shape, a count or a place.
    options
        Three or four.
    right
        Index of the right option; drawn evenly when None.
    """
    pool = next(pool for pool in (COLORS, SHAPES, NUMBERS, PLACES) if question.answer in pool)
    wrong = rng.permutation([word for word in pool if word != question.answer])[: options - 1]
    right = int(rng.integers(options)) if right is None else right
    offered = [*wrong[:right], question.answer, *wrong[right:]]
    form = ("{}. {}", "({}) {}", "{}: {}")[int(rng.integers(3))]
    lines = [form.format(letter, word) for letter, word in zip(LETTERS, offered, strict=False)]
    return Question("letter", "\n".join([question.text, *lines]), LETTERS[right], question.targets)


def caption(scene: Scene, digits: Scene = ()) -> Question:
    """Ask for a description, "a red circle then an orange ring number 42", in order; training alone asks so."""
    named = (f"{'an' if color(thing)[0] in 'aeiou' else 'a'} {color(thing)} {shape(thing)}" for thing in scene)
    words = [" then ".join(named), *(("number", ask_number(digits).answer) if digits else ())]
    return Question("caption", "describe", " ".join(words), tuple(range(len(scene) + len(digits))))


def split_words(text: str) -> list[str]:
    """Split a text into words of the vocabulary as the tokenizer does; single capitals from A to E are letters."""
    found = []
    for word in re.findall(r"<unk>|\w+|[^\w\s]", text):
        if word.isdigit():
            found += [word[0], *(CONTINUED + digit for digit in word[1:])]
        else:
            found.append(word if word in LETTERS else word.lower())
    return found


def relevance(coverage: NDArray[np.int64], targets: Sequence[int]) -> list[int]:
    """Count the target things' pixels in each visual token.

    Parameters
    ----------
    coverage
        Shape (frames, rows, columns, things), as `world.render` returns it.
    targets
        Indices of the target things.

    Returns
    -------
    list of int
        One number per visual token, frames x rows x columns in reading order.
    """
    return [int(pixels) for pixels in coverage[..., list(targets)].sum(-1).ravel()]


def balanced_count(index: int, kind: str) -> int:
    """Return the number of things of the index-th scene for a question type, so that counts are balanced."""
    fewest = fewest_things(kind)
    return fewest + index % (MOST + 1 - fewest)

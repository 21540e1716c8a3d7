"""Many independent questions behind one shared video, so that its tokens are computed once per training step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from winnow.models.pico.build import TOKEN_IDS
from winnow.models.pico.films import PLACES
from winnow.models.pico.questions import (
    EOS,
    LETTERS,
    NUMBERS,
    TYPES,
    UNK,
    Question,
    split_words,
    with_letters,
)
from winnow.models.pico.shots import LETTERED, Shot, ask_shot, kinds
from winnow.models.pico.world import COLORS, FRAMES, GRID, SHAPES

IGNORED = -100
_END_WEIGHT, _CAPTION_WEIGHT = 0.1, 0.5
_CHATTY, _CHATTER = 0.25, 10


@dataclass(frozen=True)
class Pack:
    """Questions that follow one visual prefix; all tensors have shape (batch, questions, tokens).

    Attributes
    ----------
    tokens
        Token ids, padded on the right.
    targets
        The id that follows each token, `IGNORED` where nothing is to be predicted.
    weights
        Weight of each prediction in the loss.
    real
        1 for tokens, 0 for padding.
    kinds
        Index into `TYPES` where an answer is predicted, else -1.
    """

    tokens: Tensor
    targets: Tensor
    weights: Tensor
    real: Tensor
    kinds: Tensor


Line = tuple[float, float, float, float, float]
_FILLER = (0, IGNORED, 0, 0, -1)


def draw_questions(
    rng: np.random.Generator, shot: Shot, number: int, shares: Mapping[str, float], letters: bool = False
) -> list[Question]:
    """Draw questions about a shot, types weighted by their shares; with letters, three or four options each."""
    known = [kind for kind in kinds(shot) if not letters or kind in LETTERED[shot.medium]]
    weights = np.array([shares.get(kind, 1.0) for kind in known])
    drawn = rng.choice(len(known), number, p=weights / weights.sum())
    return [ask_shot(rng, shot, known[i], int(rng.integers(3, 5)) if letters else 0) for i in drawn]


def pack(rng: np.random.Generator, questions: Sequence[Sequence[Question]]) -> Pack:
    """Lay out the questions of each row side by side.

    Parameters
    ----------
    rng
        Source of the unknown words that surround some questions, as the instructions of other benchmarks do.
    questions
        As many for each row of the batch.

    Returns
    -------
    Pack
        Padded on the right to the longest question.
    """
    chatter = rng.random() < _CHATTY
    return _lay_out([[_question(rng, question, chatter) for question in row] for row in questions])


def pack_drill(rng: np.random.Generator, batch: int, number: int) -> Pack:
    """Lay out an exercise without anything to see: which letter stands before a word.

    Every second one asks as questions do, the others for all of their options, one after the other.
    """
    return _lay_out([[(_drill, _dense_drill)[i % 2](rng) for i in range(number)] for _ in range(batch)])


def _offer(rng: np.random.Generator) -> tuple[str, Question]:
    """Draw a word and the question that offers it among others of its kind."""
    pool = (COLORS, SHAPES, NUMBERS, PLACES)[int(rng.integers(4))]
    word = pool[int(rng.integers(len(pool)))]
    return word, with_letters(rng, Question("letter", f"{word} ?", word, ()), int(rng.integers(3, 5)))


def _drill(rng: np.random.Generator) -> list[Line]:
    return _question(rng, _offer(rng)[1], chatter=False)


def _dense_drill(rng: np.random.Generator) -> list[Line]:
    options = _offer(rng)[1].text.splitlines()[1:]
    lines: list[Line] = [_unasked(word) for word in split_words(" ".join(options))]
    for i in rng.permutation(len(options)):
        *words, last = options[i].split()[1:]
        lines += [*map(_unasked, ["?", *words]), (TOKEN_IDS[last], TOKEN_IDS[LETTERS[i]], 1, 1, TYPES.index("letter"))]
    return lines


def _unasked(word: str) -> Line:
    return (TOKEN_IDS[word], IGNORED, 0, 1, -1)


def _lay_out(rows: Sequence[Sequence[Sequence[Line]]]) -> Pack:
    """Pad all questions on the right to the longest."""
    length = max(len(lines) for row in rows for lines in row)
    table = torch.tensor([[[*lines, *[_FILLER] * (length - len(lines))] for lines in row] for row in rows])
    tokens, targets, weights, real, types = table.unbind(-1)
    return Pack(tokens.long(), targets.long(), weights, real, types.long())


def _question(rng: np.random.Generator, question: Question, chatter: bool) -> list[Line]:
    """Return the lines of a question; one with options may stand among unknown words."""
    text = question.text
    if question.type == "letter" and chatter:
        before, after = (f" {UNK}" * int(count) for count in rng.integers(0, _CHATTER, 2))
        text = f"{before} {text} {after}"
    return _lines(f"{text} assistant", question.answer, question.type)


def _lines(prompt: str, answer: str, kind: str) -> list[Line]:
    """Return the lines of one prompt and its answer, one per token, in the order of `Pack`'s fields."""
    start = len(split_words(prompt))
    ids = [TOKEN_IDS[word] for word in (*split_words(prompt), *split_words(answer), EOS)]
    lines: list[Line] = []
    for position, token in enumerate(ids[:-1]):
        if position < start - 1:
            lines.append((token, IGNORED, 0, 1, -1))
            continue
        end = position == len(ids) - 2
        weight = _END_WEIGHT if end else 1.0 if kind in TYPES else _CAPTION_WEIGHT
        lines.append((token, ids[position + 1], weight, 1, TYPES.index(kind) if kind in TYPES and not end else -1))
    return lines


def shot_labels(shot: Shot) -> NDArray[np.int64]:
    """Name the thing in each cell, without rendering.

    Returns
    -------
    numpy.ndarray
        Colour and shape plus one, or 0 for background, then row and column, shape (frames x rows x columns, 4).
    """
    labels = np.zeros((shot.frames, GRID, GRID, 4), dtype=np.int64)
    labels[..., 2:] = np.moveaxis(np.indices((GRID, GRID)), 0, -1)
    for thing in shot.drawn:
        for frame, (row, column) in zip(thing.frames, thing.cells, strict=True):
            labels[frame, row, column, :2] = thing.color + 1, thing.shape + 1
    return labels.reshape(-1, 4)


def choose_tokens(rng: np.random.Generator, labels: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Keep all tokens with a thing and as much random background as the budget leaves.

    Parameters
    ----------
    rng
        Source of randomness.
    labels
        Shape (batch, tokens, 4).
    budget
        Tokens to keep, at least as many as hold things.

    Returns
    -------
    numpy.ndarray
        Sorted indices, shape (batch, budget).
    """
    score = (labels[..., 0] > 0) + rng.random(labels.shape[:2])
    return np.sort(np.argsort(-score, axis=1)[:, :budget], axis=1)


def full_length(frames: int = FRAMES) -> int:
    """Return the number of visual tokens of an unreduced prompt."""
    return frames * GRID * GRID

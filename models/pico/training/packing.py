"""Many independent questions behind one shared video, so that its tokens are computed once per training step."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from winnow.models.pico.build import TOKEN_IDS
from winnow.models.pico.questions import EOS, IMAGE_TYPES, VIDEO_TYPES, ask, caption, fewest_things
from winnow.models.pico.world import FRAMES, GRID, Scene

IGNORED = -100
CAPTION = "caption"
_PADDING = -1
_CAPTION_WEIGHT = 0.5
_END_WEIGHT = 0.1
_SHARES = {"color": 1.0, "shape": 0.7, "first": 0.5, "last": 2.0, "count": 1.0, "exist": 3.0}


@dataclass(frozen=True)
class Pack:
    """Text segments that follow one visual prefix; all tensors have shape (batch, tokens).

    Attributes
    ----------
    tokens
        Token ids.
    targets
        The id that follows each token, `IGNORED` where nothing is to be predicted.
    weights
        Weight of each prediction in the loss.
    segments
        Number of the segment from 1, -1 for padding; segments do not see each other.
    positions
        Position within the segment.
    kinds
        Index into `VIDEO_TYPES` where the answer is predicted, else -1.
    """

    tokens: Tensor
    targets: Tensor
    weights: Tensor
    segments: Tensor
    positions: Tensor
    kinds: Tensor


def pack(rng: np.random.Generator, scenes: Sequence[Scene], frames: int, questions: int, captions: int) -> Pack:
    """Draw questions and captions for each scene and lay them out side by side.

    Parameters
    ----------
    rng
        Source of randomness.
    scenes
        One per row of the batch.
    frames
        1 for images, which are not asked for order.
    questions, captions
        Number of segments of each kind per scene.

    Returns
    -------
    Pack
        Padded on the right to the longest row.
    """
    rows = [_row(rng, scene, frames, questions, captions) for scene in scenes]
    length = max(len(row) for row in rows)
    filler = np.array([0, IGNORED, 0, _PADDING, 0, -1], dtype=np.float64)
    table = np.stack([np.concatenate([row, np.tile(filler, (length - len(row), 1))]) for row in rows])
    tokens, targets, weights, segments, positions, kinds = torch.from_numpy(table).unbind(-1)
    return Pack(tokens.long(), targets.long(), weights.float(), segments.long(), positions.long(), kinds.long())


def _row(rng: np.random.Generator, scene: Scene, frames: int, questions: int, captions: int) -> NDArray[np.float64]:
    """Return one scene's segments, one line per token in the order of `Pack`'s fields."""
    types = [kind for kind in (VIDEO_TYPES if frames > 1 else IMAGE_TYPES) if len(scene) >= fewest_things(kind)]
    shares = np.array([_SHARES[kind] for kind in types])
    lines: list[tuple[float, ...]] = []
    for number in range(1, questions + captions + 1):
        if number <= captions:
            lines += _segment(number, "describe assistant", caption(scene), CAPTION)
        else:
            question = ask(rng, scene, str(rng.choice(types, p=shares / shares.sum())))
            lines += _segment(number, f"{question.text} assistant", question.answer, question.type)
    return np.array(lines, dtype=np.float64)


def _segment(number: int, prompt: str, answer: str, kind: str) -> list[tuple[float, ...]]:
    """Return the lines of one prompt and its answer."""
    start = len(prompt.split())
    ids = [TOKEN_IDS[word] for word in (*prompt.split(), *answer.split(), EOS)]
    lines: list[tuple[float, ...]] = []
    for position, token in enumerate(ids[:-1]):
        asked = position >= start - 1
        end = position == len(ids) - 2
        weight = _END_WEIGHT if end else _CAPTION_WEIGHT if kind == CAPTION else 1.0
        label = VIDEO_TYPES.index(kind) if kind != CAPTION and asked and not end else -1
        lines.append((token, ids[position + 1] if asked else IGNORED, weight if asked else 0, number, position, label))
    return lines


def scene_labels(scene: Scene, frames: int) -> NDArray[np.int64]:
    """Name the thing in each cell, without rendering.

    Returns
    -------
    numpy.ndarray
        Colour and shape plus one, or 0 for background, shape (frames x rows x columns, 2).
    """
    labels = np.zeros((frames, GRID, GRID, 2), dtype=np.int64)
    for thing in scene:
        for frame, (row, column) in zip(thing.frames, thing.cells, strict=True):
            labels[frame, row, column] = thing.color + 1, thing.shape + 1
    return labels.reshape(-1, 2)


def choose_tokens(rng: np.random.Generator, labels: NDArray[np.int64], budget: int) -> NDArray[np.int64]:
    """Keep all tokens with a thing and as much random background as the budget leaves.

    Parameters
    ----------
    rng
        Source of randomness.
    labels
        Shape (batch, tokens, 2).
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

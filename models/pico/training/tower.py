"""The vision tower learns to name the thing in each patch of a crowded frame; then the projector, to say it in words.

Linear heads, thrown away afterwards, name colour, shape, row and column per patch; the CLS token tags what is in the
frame at the last two layers, so that its attention looks for things and not for texture.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from winnow.models.pico.build import TOKEN_IDS
from winnow.models.pico.questions import IMAGE
from winnow.models.pico.training.lesson import Lesson
from winnow.models.pico.training.muon import Trainer
from winnow.models.pico.world import COLORS, DIGITS, GRID, SHAPES, Scene, Thing, render, shift

FEATURE_LAYER = -2
ROWS, COLUMNS = (("top", "top", "middle", "bottom", "bottom"), ("left", "left", "middle", "right", "right"))
FORMS = (*SHAPES, *DIGITS)
_ENOUGH_PIXELS = 20
_NAMES = (len(COLORS) + 1, len(FORMS) + 1, GRID, GRID)
_WEIGHTS = (1.0, 2.0, 0.3, 0.3)


class Heads(nn.Module):
    """Linear read-outs of the tower: colour, shape (0 is background), row and column per patch, tags from CLS."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.names = nn.ModuleList(nn.Linear(width, number) for number in _NAMES)
        tags = len(COLORS) + len(FORMS)
        self.tags = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, tags)) for _ in range(2))


def normalize(frames: NDArray[np.uint8]) -> Tensor:
    """Turn RGB frames (..., height, width, 3) into pixel values (..., 3, height, width) in [-1, 1]."""
    return torch.from_numpy(np.array(frames)).movedim(-1, -3).float() / 127.5 - 1


def crowded_frame(rng: np.random.Generator) -> Scene:
    """Draw a frame of one to seven things or digits, any colours and shapes, each in a cell of its own."""
    cells = rng.permutation(GRID * GRID)[: rng.integers(1, 8)]
    things = []
    for cell in cells:
        digit = rng.random() < 0.5
        shape = len(SHAPES) + int(rng.integers(len(DIGITS))) if digit else int(rng.integers(len(SHAPES)))
        size = 10 if digit else int(rng.integers(9, 12))
        offset = shift(rng, size)
        place = (int(cell) // GRID, int(cell) % GRID)
        things.append(Thing(int(rng.integers(len(COLORS))), shape, 0, (place,), size, offset))
    return tuple(things)


def patch_labels(scene: Scene, coverage: NDArray[np.int64]) -> NDArray[np.int64]:
    """Name the thing in each cell.

    Parameters
    ----------
    scene
        The things.
    coverage
        Shape (frames, rows, columns, things), as `world.render` returns it.

    Returns
    -------
    numpy.ndarray
        Colour and shape plus one, or 0 for background, row and column, shape (frames x rows x columns, 4).
    """
    flat = coverage.reshape(-1, len(scene))
    owner = np.where(flat.max(1) >= _ENOUGH_PIXELS, flat.argmax(1) + 1, 0)
    names = np.array([(0, 0), *((thing.color + 1, thing.shape + 1) for thing in scene)])
    places = np.indices((GRID, GRID)).reshape(2, -1).T
    return np.concatenate([names[owner], np.tile(places, (len(flat) // len(places), 1))], 1)


def crowded_batch(rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
    """Return pixel values (size, 3, height, width) and patch labels (size, patches, 4)."""
    pixels, labels = [], []
    for _ in range(size):
        scene = crowded_frame(rng)
        frames, coverage = render(rng, scene, 1)
        pixels.append(frames[0])
        labels.append(patch_labels(scene, coverage))
    return normalize(np.stack(pixels)), torch.from_numpy(np.stack(labels))


def tower_loss(tower: nn.Module, heads: Heads, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss and, per patch that holds a thing, whether colour and shape are right."""
    states = tower(pixels, output_hidden_states=True).hidden_states
    patches = heads.norm(states[FEATURE_LAYER][:, 1:])
    logits = [head(patches) for head in heads.names]
    thing = labels[..., 0] > 0
    weight = torch.where(thing, 1.0, 0.2).flatten()
    loss = torch.zeros(())
    for number, (found, share) in enumerate(zip(logits, _WEIGHTS, strict=True)):
        each = F.cross_entropy(found.flatten(0, 1), labels[..., number].flatten(), reduction="none")
        loss = loss + share * (each * weight).sum() / weight.sum()
    tags = torch.cat([F.one_hot(labels[..., i], _NAMES[i]).amax(1)[:, 1:] for i in range(2)], 1).float()
    for head, state in zip(heads.tags, states[-2:], strict=True):
        loss = loss + F.binary_cross_entropy_with_logits(head(state[:, 0]), tags)
    right = (logits[0].argmax(-1) == labels[..., 0]) & (logits[1].argmax(-1) == labels[..., 1])
    return loss, right[thing]


class TowerLesson(Lesson):
    """Trains the vision tower."""

    def __init__(self, model: LlavaForConditionalGeneration, steps: int, batch: int = 32) -> None:
        self.tower, self.batch = model.model.vision_tower, batch
        self.heads = Heads(model.config.vision_config.hidden_size)
        super().__init__((self.tower, self.heads), Trainer((self.tower, self.heads), steps, rates=(4e-3, 2e-3)))

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Return the loss of one batch of crowded frames."""
        loss, right = tower_loss(self.tower, self.heads, *crowded_batch(rng, self.batch))
        self.score.note("things named", right.tolist())
        return loss


class ProjectorLesson(Lesson):
    """Fits the projector such that a patch's vector is the sum of the words that name it."""

    def __init__(self, model: LlavaForConditionalGeneration, steps: int, batch: int = 64) -> None:
        self.model, self.batch = model, batch
        projector = model.model.multi_modal_projector
        super().__init__((projector,), Trainer((projector,), steps))

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Return the mean squared error of one batch, as a share of the variance of the words."""
        pixels, labels = crowded_batch(rng, self.batch)
        with torch.no_grad():
            target = word_tokens(self.model, labels)
            features = patch_features(self.model, pixels)
        return F.mse_loss(self.model.model.multi_modal_projector(features), target) / target.var()


@torch.no_grad()
def patch_features(model: LlavaForConditionalGeneration, pixels: Tensor) -> Tensor:
    """Return the frozen tower's features without CLS, shape (images, patches, width)."""
    states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    return torch.as_tensor(states[FEATURE_LAYER][:, 1:])


def word_tokens(model: LlavaForConditionalGeneration, labels: Tensor) -> Tensor:
    """Return ideal visual tokens: the sum of the embeddings of the words that name a patch and its place.

    Parameters
    ----------
    model
        Gives the embeddings; background is the embedding of the image placeholder.
    labels
        Colour and shape plus one, or 0 for background, row and column, shape (..., 4).

    Returns
    -------
    torch.Tensor
        Shape (..., width).
    """
    embed = model.get_input_embeddings()
    lists = ((IMAGE, *COLORS), (IMAGE, *FORMS), ROWS, COLUMNS)
    named = (torch.tensor([TOKEN_IDS[word] for word in words])[labels[..., i]] for i, words in enumerate(lists))
    return torch.as_tensor(sum(embed(words) for words in named))

"""First stage: the vision tower learns to name the thing in each patch of a crowded frame.

Linear heads, thrown away afterwards, name colour and shape per patch; the CLS token tags what is in the frame at the
last two layers, so that its attention looks for things and not for texture.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import LlavaForConditionalGeneration

from winnow.models.pico.build import TOKEN_IDS
from winnow.models.pico.questions import IMAGE
from winnow.models.pico.training.muon import Trainer
from winnow.models.pico.world import COLORS, GRID, PATCH, SHAPES, Scene, Thing, render

FEATURE_LAYER = -2
_ENOUGH_PIXELS = 20
_TAGS = len(COLORS) + len(SHAPES)


class Heads(nn.Module):
    """Linear read-outs of the tower: colour and shape per patch (0 is background), tags from CLS."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.color = nn.Linear(width, len(COLORS) + 1)
        self.shape = nn.Linear(width, len(SHAPES) + 1)
        self.tags = nn.ModuleList(nn.Sequential(nn.LayerNorm(width), nn.Linear(width, _TAGS)) for _ in range(2))


def normalize(frames: NDArray[np.uint8]) -> Tensor:
    """Turn RGB frames (..., height, width, 3) into pixel values (..., 3, height, width) in [-1, 1]."""
    return torch.from_numpy(np.array(frames)).movedim(-1, -3).float() / 127.5 - 1


def crowded_frame(rng: np.random.Generator) -> Scene:
    """Draw a frame of one to seven things, any colours and shapes, each in a cell of its own."""
    cells = rng.permutation(GRID * GRID)[: rng.integers(1, 8)]
    things = []
    for cell in cells:
        size = int(rng.integers(9, 12))
        dy, dx = (int(value) for value in rng.integers(-1, PATCH - size + 2, 2))
        place = (int(cell) // GRID, int(cell) % GRID)
        things.append(Thing(int(rng.integers(8)), int(rng.integers(6)), 0, (place,), size, (dy, dx)))
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
        Colour and shape plus one, or 0 for background, shape (frames x rows x columns, 2).
    """
    flat = coverage.reshape(-1, len(scene))
    owner = np.where(flat.max(1) >= _ENOUGH_PIXELS, flat.argmax(1) + 1, 0)
    names = np.array([(0, 0), *((thing.color + 1, thing.shape + 1) for thing in scene)])
    return np.asarray(names[owner])


def crowded_batch(rng: np.random.Generator, size: int) -> tuple[Tensor, Tensor]:
    """Return pixel values (size, 3, height, width) and patch labels (size, patches, 2)."""
    pixels, labels = [], []
    for _ in range(size):
        scene = crowded_frame(rng)
        frames, coverage = render(rng, scene, 1)
        pixels.append(frames[0])
        labels.append(patch_labels(scene, coverage))
    return normalize(np.stack(pixels)), torch.from_numpy(np.stack(labels))


def tower_loss(tower: nn.Module, heads: Heads, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss and, per patch that holds a thing, whether both names are right."""
    states = tower(pixels, output_hidden_states=True).hidden_states
    patches = heads.norm(states[FEATURE_LAYER][:, 1:])
    color, shape = heads.color(patches), heads.shape(patches)
    thing = labels[..., 0] > 0
    weight = torch.where(thing, 1.0, 0.2).flatten()
    loss = torch.zeros(())
    for logits, target, share in ((color, labels[..., 0], 1.0), (shape, labels[..., 1], 2.0)):
        each = F.cross_entropy(logits.flatten(0, 1), target.flatten(), reduction="none")
        loss = loss + share * (each * weight).sum() / weight.sum()
    seen = [F.one_hot(labels[..., i], n + 1).amax(1)[:, 1:] for i, n in enumerate((len(COLORS), len(SHAPES)))]
    tags = torch.cat(seen, 1).float()
    for head, state in zip(heads.tags, states[-2:], strict=True):
        loss = loss + F.binary_cross_entropy_with_logits(head(state[:, 0]), tags)
    right = (color.argmax(-1) == labels[..., 0]) & (shape.argmax(-1) == labels[..., 1])
    return loss, right[thing]


def train_tower(model: LlavaForConditionalGeneration, rng: np.random.Generator, steps: int, batch: int = 48) -> float:
    """Train the vision tower in place.

    Returns
    -------
    float
        Share of things named right over the last 50 steps.
    """
    tower = model.model.vision_tower
    heads = Heads(model.config.vision_config.hidden_size)
    trainer = Trainer((tower, heads), steps, rates=(4e-3, 2e-3))
    recent: list[float] = []
    for step in range(1, steps + 1):
        loss, right = tower_loss(tower, heads, *crowded_batch(rng, batch))
        trainer.step(loss)
        recent = [*recent[-49:], right.float().mean().item()]
        if step % 50 == 0:
            print(f"tower {step}: loss {loss.item():.3f}, things named {np.mean(recent):.3f}", flush=True)
    return float(np.mean(recent))


def train_projector(
    model: LlavaForConditionalGeneration, rng: np.random.Generator, steps: int, batch: int = 64
) -> float:
    """Fit the projector such that a patch's vector is the sum of the words that name it.

    Returns
    -------
    float
        Mean squared error of the last step, as a share of the variance of the words.
    """
    projector = model.model.multi_modal_projector
    trainer = Trainer((projector,), steps)
    error = torch.zeros(())
    for step in range(1, steps + 1):
        pixels, labels = crowded_batch(rng, batch)
        with torch.no_grad():
            target = word_tokens(model, labels)
            features = patch_features(model, pixels)
        error = F.mse_loss(projector(features), target) / target.var()
        trainer.step(error)
        if step % 50 == 0:
            print(f"projector {step}: relative error {error.item():.3f}", flush=True)
    return error.item()


@torch.no_grad()
def patch_features(model: LlavaForConditionalGeneration, pixels: Tensor) -> Tensor:
    """Return the frozen tower's features without CLS, shape (images, patches, width)."""
    states = model.model.vision_tower(pixels, output_hidden_states=True).hidden_states
    return torch.as_tensor(states[FEATURE_LAYER][:, 1:])


def word_tokens(model: LlavaForConditionalGeneration, labels: Tensor) -> Tensor:
    """Return ideal visual tokens: the sum of the embeddings of the words that name a patch.

    Parameters
    ----------
    model
        Gives the embeddings; background is the embedding of the image placeholder.
    labels
        Colour and shape plus one, or 0 for background, shape (..., 2).

    Returns
    -------
    torch.Tensor
        Shape (..., width).
    """
    embed = model.get_input_embeddings()
    colors, shapes = (torch.tensor([TOKEN_IDS[word] for word in (IMAGE, *words)]) for words in (COLORS, SHAPES))
    return torch.as_tensor(embed(colors[labels[..., 0]]) + embed(shapes[labels[..., 1]]))

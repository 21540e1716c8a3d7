"""One stage of the training: what it learns from, how far it is, and how it is left and taken up again."""

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from winnow.models.pico.training.muon import Trainer


class Score:
    """Running means of what a lesson reports."""

    def __init__(self) -> None:
        self.noted: defaultdict[str, list[float]] = defaultdict(list)

    def note(self, name: str, values: Iterable[float]) -> None:
        """Add values under a name."""
        self.noted[name].extend(float(value) for value in values)

    def flush(self) -> str:
        """Return the means as one line and start afresh."""
        line = " ".join(f"{name} {np.mean(values):.3f}" for name, values in sorted(self.noted.items()) if values)
        self.noted.clear()
        return line


class Lesson(ABC):
    """A stage under way.

    Parameters
    ----------
    modules
        What it changes; the state of these and of the optimisers is all that a checkpoint holds.
    trainer
        Their optimisers and schedule.
    """

    def __init__(self, modules: Sequence[nn.Module], trainer: Trainer) -> None:
        self.modules, self.trainer, self.score = modules, trainer, Score()

    @abstractmethod
    def loss(self, rng: np.random.Generator) -> Tensor:
        """Return the loss of one step on data drawn from `rng`."""

    def advance(self, key: Sequence[int]) -> None:
        """Take one step; all its randomness follows from the key and the number of steps done."""
        rng = np.random.default_rng([*key, self.trainer.done])
        torch.manual_seed(int(rng.integers(2**62)))
        loss = self.loss(rng)
        self.score.note("loss", [loss.item()])
        self.trainer.step(loss)

    def state(self) -> dict[str, Any]:
        """Return everything that the rest of the stage depends on."""
        return {"modules": [module.state_dict() for module in self.modules], "trainer": self.trainer.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from where a state was taken."""
        for module, values in zip(self.modules, state["modules"], strict=True):
            module.load_state_dict(values)
        self.trainer.restore(state["trainer"])


def write_state(path: Path, state: dict[str, Any]) -> None:
    """Write a state whole or not at all."""
    draft = path.with_suffix(".part")
    torch.save(state, draft)
    draft.replace(path)

"""The language model learns to answer, and to look for the answer in its middle layers.

Left alone, a model this small reads everything from the visual tokens in its first two layers; dropping tokens later
then costs nothing, whatever is dropped. Models in the wild read in middle layers. So in training, and only there, text
cannot attend to visual tokens in the first `DEPTH` layers, and attention that it would pay there is penalised so that
the plain forward at inference behaves alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from transformers import LlavaForConditionalGeneration

from winnow.models.pico.items import held_out
from winnow.models.pico.questions import TYPES, Question, caption
from winnow.models.pico.shots import LENGTHS, Shot, sample_shot
from winnow.models.pico.training.forward import answer_states
from winnow.models.pico.training.lesson import Lesson
from winnow.models.pico.training.muon import Trainer
from winnow.models.pico.training.packing import (
    IGNORED,
    Pack,
    choose_tokens,
    draw_questions,
    full_length,
    pack,
    pack_drill,
    shot_labels,
)
from winnow.models.pico.training.tower import normalize, patch_features, word_tokens

DEPTH = 4
PENALTY = 2.0
SHARES = {"shape": 0.7, "first": 0.5, "last": 2.0, "exist": 3.0, "place": 1.5, "number": 2.0, "brief": 4.0}
_NUMBERED = 0.5


@dataclass(frozen=True)
class Part:
    """A share of each step: shots of one medium and what is asked about each.

    Attributes
    ----------
    medium
        "video", "image" or "film"; "drill" asks without anything to see.
    batch
        Number of shots.
    tokens
        Visual tokens that are kept of each: all that hold a thing, the rest at random.
    questions
        Number of questions about each.
    form
        "open", "letters" with options, or "told": a caption of the whole scene beside them.
    """

    medium: str
    batch: int
    tokens: int
    questions: int
    form: str = "open"

    @property
    def name(self) -> str:
        """What the report calls it."""
        return f"{self.medium}{'*' if self.form == 'letters' else ''}"


Curriculum = Callable[[float], Sequence[Part]]
Eyes = Callable[[np.random.Generator, Sequence[Shot], NDArray[np.int64], Tensor], Tensor]


def unseen_shot(rng: np.random.Generator, medium: str) -> Shot:
    """Draw a shot that the benchmark does not hold."""
    shot = sample_shot(rng, medium, _NUMBERED)
    return unseen_shot(rng, medium) if shot.drawn in held_out() else shot


def _asked(rng: np.random.Generator, shot: Shot, part: Part) -> list[Question]:
    """Draw what a part asks about a shot."""
    questions = draw_questions(rng, shot, part.questions, SHARES, part.form == "letters")
    return [*questions, caption(shot.things, shot.digits)] if part.form == "told" else questions


class AnswerLesson(Lesson):
    """Trains the language model on shots, seen through `eyes`.

    Parameters
    ----------
    model
        Trained in place.
    steps
        Length of the schedule.
    curriculum
        The parts of a step, by the share of steps that are done.
    joint
        Whether the projector learns too, on rendered shots; else visual tokens are ideal sums of words.
    rates
        Learning rates of Muon and AdamW.
    """

    def __init__(
        self,
        model: LlavaForConditionalGeneration,
        steps: int,
        curriculum: Curriculum,
        joint: bool,
        rates: tuple[float, float],
    ) -> None:
        self.model, self.curriculum = model, curriculum
        self.look: Eyes = self._rendered if joint else self._ideal
        modules = (*((model.model.multi_modal_projector,) if joint else ()), model.model.language_model)
        super().__init__(modules, Trainer(modules, steps, rates))

    def loss(self, rng: np.random.Generator) -> Tensor:
        """Return the loss of all parts of one step."""
        return torch.stack([self._part(rng, part) for part in self.curriculum(self.trainer.progress)]).sum()

    def _part(self, rng: np.random.Generator, part: Part) -> Tensor:
        if part.medium == "drill":
            text = pack_drill(rng, part.batch, part.questions)
            nothing = torch.zeros(part.batch, 0, self.model.config.text_config.hidden_size)
            states, _ = answer_states(self.model, nothing, torch.zeros(part.batch, 0, dtype=torch.long), text, 0, 0)
            return self._answers(states, text, part.name)
        shots = [unseen_shot(rng, part.medium) for _ in range(part.batch)]
        labels = np.stack([shot_labels(shot) for shot in shots])
        kept = choose_tokens(rng, labels, min(part.tokens, full_length(LENGTHS[part.medium])))
        places = torch.from_numpy(kept)
        text = pack(rng, [_asked(rng, shot, part) for shot in shots])
        visual = self.look(rng, shots, labels, places)
        states, leak = answer_states(self.model, visual, places, text, LENGTHS[part.medium], DEPTH)
        self.score.note("leak", [leak.item()])
        return self._answers(states, text, part.name) + PENALTY * leak

    def _answers(self, states: Tensor, text: Pack, name: str) -> Tensor:
        """Return the weighted cross entropy of the text and note which answers are right."""
        chosen = text.targets != IGNORED
        logits, targets, weights = self.model.lm_head(states[chosen]), text.targets[chosen], text.weights[chosen]
        right, types = (logits.argmax(-1) == targets).tolist(), text.kinds[chosen].tolist()
        for kind, hit in zip(types, right, strict=True):
            if kind >= 0:
                self.score.note(f"{name}-{TYPES[kind]}", [hit])
        each = F.cross_entropy(logits, targets, reduction="none")
        return torch.as_tensor((each * weights).sum() / weights.sum())

    def _ideal(
        self, _: np.random.Generator, shots: Sequence[Shot], labels: NDArray[np.int64], places: Tensor
    ) -> Tensor:
        """Return ideal visual tokens with a little noise."""
        chosen = torch.from_numpy(labels).gather(1, places[..., None].expand(-1, -1, labels.shape[-1]))
        visual = word_tokens(self.model, chosen)
        return visual + 0.3 * self.model.config.text_config.initializer_range * torch.randn_like(visual)

    def _rendered(
        self, rng: np.random.Generator, shots: Sequence[Shot], labels: NDArray[np.int64], places: Tensor
    ) -> Tensor:
        """Return the visual tokens of rendered frames; the tower stays as it is."""
        pixels = normalize(np.concatenate([shot.render(rng)[0] for shot in shots]))
        features = patch_features(self.model, pixels).unflatten(0, (len(shots), -1)).flatten(1, 2)
        return self.model.model.multi_modal_projector(
            features.gather(1, places[..., None].expand(-1, -1, features.shape[-1]))
        )

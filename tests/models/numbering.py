"""transformers 4.57.6's rule of numbering, token by token, and random prompts to try it on.

Written from the rule, in plain loops: text counts by one in three dimensions; a picture or film spreads from the next
position on, in time, rows and columns; what stands behind it begins at its largest position + 1. A film's steps in time
are one apart (Qwen2-VL), whole seconds times ``tokens_per_second`` (Qwen2.5-VL), or pictures (Qwen3-VL).
Held once to the functions of 4.57.6 themselves, on 1086 prompts as below.
"""

import random
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Place = tuple[int, int, int]
MERGE = 2


@dataclass(frozen=True)
class Shown:
    """A picture, or a film with the seconds between its temporal steps: patches in time, rows and columns."""

    steps: int
    rows: int
    cols: int
    seconds: float | None = None

    @property
    def tokens(self) -> int:
        return self.steps * (self.rows // MERGE) * (self.cols // MERGE)


Piece = int | Shown
"""So many tokens of text, or something to see."""


def places(family: str, prompt: list[Piece], per_second: int = 2) -> list[Place]:
    """The position of each token of a prompt."""
    made: list[Place] = []
    following = 0
    for piece in in_steps(prompt) if family == "qwen3_vl" else prompt:
        before = len(made)
        if isinstance(piece, int):
            made += [(following + i,) * 3 for i in range(piece)]
        else:
            apart = int(piece.seconds or 0) * per_second if family == "qwen2_5_vl" else 1
            made += [
                (following + t * apart, following + row, following + col)
                for t in range(piece.steps)
                for row in range(piece.rows // MERGE)
                for col in range(piece.cols // MERGE)
            ]
        following = max((max(place) for place in made[before:]), default=following - 1) + 1
    return made


def in_steps(prompt: list[Piece]) -> list[Piece]:
    """Films as Qwen3-VL has them: the time and a mark before each step, a mark behind."""
    made: list[Piece] = []
    for piece in prompt:
        if isinstance(piece, Shown) and piece.seconds is not None:
            for _ in range(piece.steps):
                made += [5, Shown(1, piece.rows, piece.cols, piece.seconds), 1]
        else:
            made.append(piece)
    return made


def draw_prompt(dice: random.Random, steps: int = 384) -> list[Piece]:
    """Text around up to three pictures and films; a film has up to twice as many frames as steps."""
    prompt: list[Piece] = [dice.randint(1, 9)]
    for _ in range(dice.randint(0, 3)):
        rows, cols = (MERGE * dice.randint(1, 6) for _ in range(2))
        if dice.random() < 0.5:
            prompt += [Shown(1, rows, cols)]
        else:
            rate = dice.choice((0.2, 0.5, 1.0, 2.0, 30.0, dice.uniform(0.2, 30)))
            prompt += [Shown(dice.choice((1, 2, 8, 32, dice.randint(1, steps))), rows, cols, 2 / rate)]
        prompt += [dice.randint(1, 9)]
    return prompt


def encoded(family: str, config: Any, prompts: list[list[Piece]]) -> dict[str, Tensor]:
    """A batch as the processor would make it, padded on the left; a mark stands before whatever is seen."""
    written = [in_steps(prompt) if family == "qwen3_vl" else prompt for prompt in prompts]
    rows = [[*[token for piece in prompt for token in _tokens(config, piece)][:-1], 50] for prompt in written]
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
    mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
    kinds = (ids == config.image_token_id).int() + 2 * (ids == config.video_token_id).int()
    found = {"input_ids": ids, "attention_mask": mask, "mm_token_type_ids": kinds}
    shown = [piece for prompt in prompts for piece in prompt if isinstance(piece, Shown)]
    for name, some in (
        ("image_grid_thw", [x for x in shown if x.seconds is None]),
        ("video_grid_thw", films := [x for x in shown if x.seconds is not None]),
    ):
        if some:
            found[name] = torch.tensor([[x.steps, x.rows, x.cols] for x in some])
    if films and family == "qwen2_5_vl":
        found["second_per_grid_ts"] = torch.tensor([x.seconds for x in films])
    return found


def _tokens(config: Any, piece: Piece) -> list[int]:
    if isinstance(piece, int):
        return [50] * (piece - 1) + [config.vision_start_token_id]
    return [config.image_token_id if piece.seconds is None else config.video_token_id] * piece.tokens

"""The training as a schedule: four stages, each kept when it is done and taken up where it was left.

tower      the vision tower names the things of crowded frames; frozen from here on;
words      the language model answers about ideal visual tokens, which are sums of word embeddings and need no pixels;
projector  is fitted to those tokens;
joint      language model and projector learn together on rendered shots.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

import torch
from transformers import LlavaForConditionalGeneration

from winnow.models.pico.training.language import AnswerLesson, Part
from winnow.models.pico.training.lesson import Lesson, write_state
from winnow.models.pico.training.tower import ProjectorLesson, TowerLesson

REPORT, KEEP = 50, 100


def words_parts(done: float) -> Sequence[Part]:
    """Captions and questions side by side until looking is learned, then films, then letters, in the end mostly these.

    In trials neither pictures alone nor videos without captions taught looking, and letters first made it later.
    """
    if done < 0.2:
        return Part("video", 8, 40, 8, "told"), Part("image", 8, 12, 4, "told")
    video, film, image = (40, 100, 12) if done < 0.6 else (80, 200, 25)
    if done >= 0.7:
        return (
            Part("video", 3, video, 8, "told"),
            Part("image", 3, image, 6),
            Part("film", 1, film, 8),
            Part("video", 6, video, 12, "letters"),
            Part("image", 4, image, 8, "letters"),
        )
    plain = Part("video", 6, video, 8, "told"), Part("image", 6, image, 6), Part("film", 2, film, 8)
    if done < 0.35:
        return *plain, Part("drill", 3, 0, 24, "letters")
    letters = Part("video", 3, video, 8, "letters"), Part("image", 2, image, 6, "letters")
    return (*plain, *letters, *((Part("drill", 1, 0, 24, "letters"),) if done < 0.6 else ()))


def joint_parts(done: float) -> Sequence[Part]:
    """More and more of the background, in the end all of it."""
    video, film = (60, 150) if done < 0.35 else (100, 400) if done < 0.6 else (200, 800 if done < 0.85 else 1600)
    return (
        Part("video", 4, video, 12),
        Part("image", 4, 25, 6),
        Part("film", 2 if film < 800 else 1, film, 12),
        Part("video", 6, video, 12, "letters"),
        Part("image", 4, 25, 8, "letters"),
    )


@dataclass(frozen=True)
class Stage:
    """A stage: its length, and how it begins on a model."""

    steps: int
    begin: Callable[[LlavaForConditionalGeneration, int], Lesson]


STAGES = {
    "tower": Stage(1200, TowerLesson),
    "words": Stage(2000, lambda model, steps: AnswerLesson(model, steps, words_parts, False, (3e-3, 2e-3))),
    "projector": Stage(400, ProjectorLesson),
    "joint": Stage(700, lambda model, steps: AnswerLesson(model, steps, joint_parts, True, (2e-3, 1e-3))),
}


def run_stage(
    model: LlavaForConditionalGeneration, name: str, work: Path, seed: int, rank: int = 0, share: float = 1.0
) -> None:
    """Take a stage to its end, from where the work folder says that it stands.

    Parameters
    ----------
    model
        Changed in place.
    name
        One of `STAGES`.
    work
        Folder of the states.
    seed
        Of the whole training.
    rank
        Of this process; each draws data of its own, the first writes.
    share
        Of each stage's steps, for trials.
    """
    number, path = list(STAGES).index(name), work / f"{name}.pt"
    torch.manual_seed(seed + number)
    lesson = STAGES[name].begin(model, max(1, round(share * STAGES[name].steps)))
    if path.exists():
        lesson.restore(torch.load(path))
    began = monotonic()
    while lesson.trainer.done < lesson.trainer.steps:
        lesson.advance((seed, number, rank))
        done = lesson.trainer.done
        last = done == lesson.trainer.steps
        if rank == 0 and (done % REPORT == 0 or last):
            print(f"{name} {done} ({monotonic() - began:.0f} s): {lesson.score.flush()}", flush=True)
        if rank == 0 and (done % KEEP == 0 or last):
            write_state(path, lesson.state())

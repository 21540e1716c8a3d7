"""One sample of a finished run: its pictures, and what became of each visual token."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from winnow.harness.common.run_files import TRACES, read_samples, read_table, samples_path, whole
from winnow.harness.config.schema import ModelConfig, TasksConfig
from winnow.harness.config.stored import stored_cell
from winnow.reducers.core.errors import WinnowError

NO_TRACES = "run {} is imported, or of an older version, and lacks tokens layer by layer: run it again with force=true"
BLOCK = 50
"""Documents that are loaded at once, as the next sample is often a neighbour."""


@dataclass(frozen=True, eq=False)
class Span:
    """Frames with their visual tokens.

    Attributes
    ----------
    frames : list of ndarray
        Pictures as tokens see them, each ``(height, width, 3)`` uint8.
    last_layer, anchor : ndarray, shape (frames, rows, cols)
        Per token the last layer that saw it (-1: none), and the number, within the span, of the token that it was
        merged into; its own while it stands for itself.
    """

    frames: list[np.ndarray]
    last_layer: np.ndarray
    anchor: np.ndarray

    def seen(self, layer: int) -> np.ndarray:
        """Which tokens a layer processes."""
        return self.last_layer >= layer


@dataclass(frozen=True, eq=False)
class Sample:
    """One sample.

    Attributes
    ----------
    run, task, doc_id : str, str, int
    question, answer, target : str
    visual_per_layer : list of int
    spans : list of Span
    """

    run: str
    task: str
    doc_id: int
    question: str
    answer: str
    target: str
    visual_per_layer: list[int]
    spans: list[Span]

    @property
    def stages(self) -> list[int]:
        """Layers at which the number of visual tokens changes, the first one included."""
        counts = self.visual_per_layer
        return [0, *(i for i in range(1, len(counts)) if counts[i] != counts[i - 1])]


def settings(folder: Path, trust: bool = False) -> tuple[ModelConfig, TasksConfig]:
    """The model and the tasks of a run, as they were; whose code may be executed, see `stored_cell`."""
    cell = stored_cell(folder, trust)
    return cell.seen, cell.tasks


def trace_of(folder: Path, sample: str) -> dict[str, Any]:
    """The trace of a sample, named ``task/number`` or, in a run of one task, ``number``.

    Raises
    ------
    WinnowError
        If there is no such sample, or it was not answered.
    """
    if not (folder / TRACES).exists():
        raise WinnowError(NO_TRACES.format(folder.name))
    task, _, number = sample.rpartition("/")
    rows = [(row["task"], row["doc_id"]) for row in read_table(folder / TRACES, ["task", "doc_id"])]
    found = [(name, doc) for name, doc in rows if str(doc) == number and task in ("", name)]
    if len(found) != 1:
        some = ", ".join(f"{name}/{doc}" for name, doc in rows[:3])
        raise WinnowError(f"--sample {sample} names {len(found)} answered samples of {folder.name}: give one as {some}")
    (row,) = read_table(folder / TRACES, document=found[0])
    if "grids" not in row:
        raise WinnowError(NO_TRACES.format(folder.name))
    return row


def document_of(tasks: TasksConfig, task: str, doc_id: int) -> Any:
    """Load one document of a run's task."""
    named = json.dumps(asdict(tasks), sort_keys=True)
    return next(found for found in _documents(named, task, (doc_id // BLOCK + 1) * BLOCK) if found.doc_id == doc_id)


@lru_cache(maxsize=4)
def _documents(tasks: str, task: str, limit: int) -> list[Any]:
    from winnow.harness.data.documents import Tasks

    return Tasks(TasksConfig(**json.loads(tasks))).documents(task, limit)


def load(folder: Path, sample: str, trust: bool = False) -> Sample:
    """Read a sample with its pictures.

    Parameters
    ----------
    folder : Path
        Of the run.
    sample : str
        See `trace_of`.
    trust : bool
        See `stored_cell`.
    """
    from winnow.harness.data.media import make_prompt

    row = trace_of(folder, sample)
    task, doc_id = row["task"], row["doc_id"]
    with whole(samples_path(folder, task)):
        said = {found["doc_id"]: found for found in read_samples(folder, task)}[doc_id]
    model, tasks = settings(folder, trust)
    document = document_of(tasks, task, doc_id)
    prompt = make_prompt(document.text, document.visuals(), model.frames)
    pictures = [*(list(video) for video in prompt.videos), *([np.asarray(i)] for i in prompt.images)]
    spans = _spans(row, pictures)
    question, answer, target = (str(said.get(key, "")) for key in ("prompt", "answer", "target"))
    return Sample(folder.name, task, doc_id, question, answer, target, row["visual_per_layer"], spans)


def _spans(row: dict[str, Any], pictures: list[list[np.ndarray]]) -> list[Span]:
    """Put tokens and pictures together; a span of fewer steps than frames shows the first frame of each step."""
    spans, start, anchors = [], 0, np.array(row["anchor"])
    flat = [frame for group in pictures for frame in group]
    count, used = sum(frames for frames, _, _ in row["grids"]), 0
    for frames, height, width in row["grids"]:
        size = frames * height * width
        places = [min(len(flat) - 1, (used + i) * len(flat) // count) for i in range(frames)]
        shape, part = (frames, height, width), slice(start, start + size)
        layers = np.array(row["last_layer"])[part].reshape(shape)
        spans.append(Span([flat[i] for i in places], layers, (anchors[part] - start).reshape(shape)))
        start, used = start + size, used + frames
    return spans

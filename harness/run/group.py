"""Runs the cells of one group, which share model, tasks and batch size: load, answer, score, finish."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from typing import Any

import transformers

from harness import files
from harness.config.cell import Cell
from harness.config.method import Built
from harness.config.nominal import llm_shape, model_spec
from harness.config.schema import ModelConfig
from harness.data.decoding import decoder
from harness.data.document import Document
from harness.data.documents import Tasks
from harness.data.framecache import current
from harness.data.hub import commit
from harness.exits import BUSY, INCOMPLETE, OK
from harness.folders import locate
from harness.run import environment
from harness.run.answer import answer_all
from harness.run.claim import Claim
from harness.run.finish import finish
from harness.run.journal import deaths
from harness.run.progress import progress
from harness.run.stop import Stop
from harness.run.store import JOURNAL, Run, part_mark
from harness.run.work import Work
from harness.score.lmms import quiet
from harness.score.scoring import score_task
from models.engine import Reuse, reuse_tower
from models.load import Loaded, ModelSpec, load
from reducers.errors import WinnowError


class Kept:
    """What a process keeps from one group of cells to the next: the model and the documents that it loaded last.

    The model's vision tower remembers its last output, for all cells and for the next question about the same video.
    """

    def __init__(self) -> None:
        self.towers: list[Reuse] = []
        self._model: tuple[ModelConfig, Loaded] | None = None
        self._memory = ExitStack()
        self._tasks: tuple[Any, Tasks, dict[str, list[Document]]] | None = None

    def model(self, wanted: ModelConfig) -> Loaded:
        """Load a model, unless it is there already; the former one goes first."""
        if self._model is None or self._model[0] != wanted:
            self._model = None
            self._memory.close()
            self._model = wanted, load_model(wanted)
            self.towers.append(self._memory.enter_context(reuse_tower(self._model[1].model)))
        return self._model[1]

    def tasks(self, cell: Cell) -> tuple[Tasks, dict[str, list[Document]]]:
        """Load the documents of a cell, unless they are there already."""
        if self._tasks is None or self._tasks[0] != (cell.tasks, cell.limit):
            with progress("loading tasks"):
                tasks = Tasks(cell.tasks)
                documents = {name: tasks.documents(name, cell.limit) for name in cell.tasks.tasks}
            self._tasks = (cell.tasks, cell.limit), tasks, documents
        return self._tasks[1:]

    def shared(self) -> str:
        """Say how much work the cells of this process shared."""
        passes, spared = (sum(getattr(tower, name) for tower in self.towers) for name in ("passes", "spared"))
        return (
            f"videos decoded: {decoder().decoded}, found decoded on the disk: {current().hits}; "
            f"passes of the vision tower: {passes}, spared: {spared}"
        )


def run_group(
    runs: Mapping[Run, Claim], built: Mapping[str, Built], kept: Kept, stop: Stop, part: tuple[int, int] = (0, 1)
) -> int:
    """Answer and score the runs of one group.

    Parameters
    ----------
    runs : mapping
        The runs, each with the claim that says it is ours.
    built : mapping
        Their methods, by id.
    kept : Kept
    stop : Stop
    part : (int, int)
        Which of how many parts of the documents to answer; a part is answered and marked, but not scored.

    Returns
    -------
    int
        `OK`; `INCOMPLETE` if a document or a task failed; `BUSY` if another process works on the rest.

    Raises
    ------
    WinnowError
        If tasks or model cannot be loaded, or the results folder is not writable.
    StoppedError
        If that was asked for; everything answered is on the disk.
    """
    cell = next(iter(runs)).cell
    with files.writable(cell.results):
        tasks, documents = kept.tasks(cell)
        works = [_open(found, built[found.id], claim) for found, claim in runs.items()]
        _answer(works, documents, kept, stop, part)
        if part[1] > 1:
            for work in works:
                part_mark(work.run.folder, *part).touch()
            return BUSY
        return max(_close(work, tasks, documents, stop) for work in works)


def _open(found: Run, built: Built, claim: Claim) -> Work:
    if found.cell.force:
        found.reset()
    found.open(environment.describe())
    died = deaths(found.folder / JOURNAL)
    return Work(found, built, found.rows(), found.journal(), claim, died)


def _answer(
    works: Sequence[Work], documents: dict[str, list[Document]], kept: Kept, stop: Stop, part: tuple[int, int]
) -> None:
    """Answer what is missing; the model is loaded only if something is."""

    @cache
    def loaded() -> Loaded:
        made = kept.model(works[0].run.cell.seen)
        for work in works:
            files.write_json(work.run.folder / "env.json", environment.describe(made.model))
        return made

    for name, found in documents.items():
        for work in works:
            work.give_up(found)
        missing = sum(work.needs(document) for work in works for document in found)
        if missing:
            with progress(f"answering {name}", missing) as advance:
                answer_all(works, found, loaded, advance, stop, part)


def load_model(model: ModelConfig) -> Loaded:
    """Load the model that a YAML describes.

    Raises
    ------
    WinnowError
        If it cannot be loaded, or is of another shape than the YAML says.
    """
    transformers.logging.set_verbosity_error()
    with quiet():
        loaded = load(_pinned(model_spec(model)))
    made: Any = loaded.model
    if note := getattr(made.config, "note", ""):
        print(f"note: {note}", file=sys.stderr)
    config = made.config.get_text_config()
    shape = llm_shape(model)
    found = (config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.num_key_value_heads)
    if found != (shape.layers, shape.hidden, shape.heads, shape.kv_heads):
        raise WinnowError(
            f"model={model.name} has layers, hidden, heads, kv_heads = {found}, unlike its YAML: mend model.arch"
        )
    return loaded


def _pinned(spec: ModelSpec) -> ModelSpec:
    """Load the very commit that the run's identity names."""
    if spec.weights != "pretrained" or locate(spec.repo) is not None:
        return spec
    return replace(spec, revision=commit(spec.repo, spec.revision) or spec.revision)


def _close(work: Work, tasks: Tasks, documents: dict[str, list[Document]], stop: Stop) -> int:
    """Score one run and write its result; a task that cannot be scored leaves the answers as they are."""
    limit, folder = work.run.cell.limit, work.run.folder
    stop.check()
    if work.claim.lost(look=True):
        print(f"run {work.run.id} was taken over while this process stood still: left to the other", file=sys.stderr)
        return BUSY
    try:
        with progress(f"scoring {work.built.reducer.name}"):
            scored = [score_task(tasks, name, found, work.rows, limit, folder) for name, found in documents.items()]
    except WinnowError as error:
        print(f"run {work.run.id} is not scored: {error}", file=sys.stderr)
        work.run.fail(f"not scored: {error}")
        return INCOMPLETE
    rows = [work.rows[document.task, document.doc_id] for found in documents.values() for document in found]
    result = finish(work, rows, scored)
    if result["status"] == "complete":
        return OK
    reasons = "; ".join(f"{count} x {reason}" for task in result["tasks"] for reason, count in task["reasons"].items())
    why = f"{result['failed']} of {result['documents']} documents failed ({reasons})"
    print(f"run {work.run.id} is incomplete: {why}; run the same command again to retry them", file=sys.stderr)
    work.run.fail(why)
    return INCOMPLETE

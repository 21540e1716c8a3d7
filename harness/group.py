"""Runs the cells of one group, which share model, tasks and batch size: load, answer, score, finish."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import transformers

from harness import environment, files
from harness.answer import Work, answer_all
from harness.documents import Document, Tasks
from harness.exits import INCOMPLETE, OK
from harness.finish import finish
from harness.lmms import quiet
from harness.method import Built
from harness.nominal import llm_shape, model_spec
from harness.progress import progress
from harness.schema import ModelConfig
from harness.scoring import score_task
from harness.store import Run
from models.load import Loaded, load
from reducers.errors import WinnowError


def run_group(runs: Sequence[Run], built: dict[str, Built]) -> int:
    """Answer and score the runs; return `OK`, or `INCOMPLETE` if a document or a task failed.

    Raises
    ------
    WinnowError
        If tasks or model cannot be loaded, or the results folder is not writable.
    """
    cell = runs[0].cell
    with files.writable(cell.results):
        with progress("loading tasks"):
            tasks = Tasks(cell.tasks)
            documents = {name: tasks.documents(name, cell.limit) for name in cell.tasks.tasks}
        works = [_open(found, built[found.id]) for found in runs]
        _answer(works, documents)
        return max(_close(work, tasks, documents) for work in works)


def _open(found: Run, built: Built) -> Work:
    if found.cell.force:
        found.reset()
    found.open(environment.describe())
    return Work(found, built, found.rows(), found.journal())


def _answer(works: Sequence[Work], documents: dict[str, list[Document]]) -> None:
    """Answer what is missing; the model is loaded only if something is."""

    @cache
    def loaded() -> Loaded:
        made = load_model(works[0].run.cell.seen)
        for work in works:
            files.write_json(work.run.folder / "env.json", environment.describe(made.model))
        return made

    for name, found in documents.items():
        missing = sum(work.needs(document) for work in works for document in found)
        if missing:
            with progress(f"answering {name}", missing) as advance:
                answer_all(works, found, loaded, advance)


def load_model(model: ModelConfig) -> Loaded:
    """Load the model that a YAML describes.

    Raises
    ------
    WinnowError
        If it cannot be loaded, or is of another shape than the YAML says.
    """
    transformers.logging.set_verbosity_error()
    with quiet():
        loaded = load(model_spec(model))
    made: Any = loaded.model
    config = made.config.get_text_config()
    shape = llm_shape(model)
    found = (config.num_hidden_layers, config.hidden_size, config.num_attention_heads, config.num_key_value_heads)
    if found != (shape.layers, shape.hidden, shape.heads, shape.kv_heads):
        raise WinnowError(
            f"model={model.name} has layers, hidden, heads, kv_heads = {found}, unlike its YAML: mend model.arch"
        )
    return loaded


def _close(work: Work, tasks: Tasks, documents: dict[str, list[Document]]) -> int:
    """Score one run and write its result; a task that cannot be scored leaves the answers as they are."""
    limit, folder = work.run.cell.limit, work.run.folder
    try:
        with progress(f"scoring {work.built.reducer.name}"):
            scored = [score_task(tasks, name, found, work.rows, limit, folder) for name, found in documents.items()]
    except WinnowError as error:
        print(f"run {work.run.id} is not scored: {error}", file=sys.stderr)
        return INCOMPLETE
    rows = [work.rows[document.task, document.doc_id] for found in documents.values() for document in found]
    result = finish(work, rows, scored)
    if result["status"] == "complete":
        return OK
    reasons = "; ".join(f"{count} x {reason}" for task in result["tasks"] for reason, count in task["reasons"].items())
    print(
        f"run {work.run.id} is incomplete: {result['failed']} of {result['documents']} documents failed ({reasons}); "
        "run the same command again to retry them",
        file=sys.stderr,
    )
    return INCOMPLETE

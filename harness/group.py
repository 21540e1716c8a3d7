"""Runs the cells of one group, which share model, tasks and batch size: load, answer, score, finish."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from harness import environment, files
from harness.answer import Work, answer_all
from harness.console import STATUS
from harness.documents import Document, Tasks
from harness.exits import INCOMPLETE, OK
from harness.finish import finish
from harness.lmms import quiet
from harness.method import Built
from harness.nominal import llm_shape, model_spec
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
    with files.writable(cell.results), _bar() as bar:
        loading = bar.add_task("loading tasks", total=None)
        tasks = Tasks(cell.tasks)
        documents = {name: tasks.documents(name, cell.limit) for name in cell.tasks.tasks}
        bar.remove_task(loading)
        works = [_open(found, built[found.id]) for found in runs]
        _answer(works, documents, bar)
        return max(_close(work, tasks, documents, bar) for work in works)


def _open(found: Run, built: Built) -> Work:
    if found.cell.force:
        found.reset()
    found.open(environment.describe())
    return Work(found, built, found.rows(), found.journal())


def _answer(works: Sequence[Work], documents: dict[str, list[Document]], bar: Progress) -> None:
    missing = sum(work.needs(document) for work in works for name in documents for document in documents[name])
    if not missing:
        return
    model = works[0].run.cell.model
    progress = bar.add_task("loading model", total=missing)

    @cache
    def loaded() -> Loaded:
        made = load_model(model)
        for work in works:
            files.write_json(work.run.folder / "env.json", environment.describe(made.model))
        return made

    for name, found in documents.items():
        bar.update(progress, description=f"answering {name}")
        answer_all(works, found, loaded, lambda count: bar.advance(progress, count))
    bar.remove_task(progress)


def load_model(model: ModelConfig) -> Loaded:
    """Load the model that a YAML describes.

    Raises
    ------
    WinnowError
        If it cannot be loaded, or is of another shape than the YAML says.
    """
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


def _close(work: Work, tasks: Tasks, documents: dict[str, list[Document]], bar: Progress) -> int:
    """Score one run and write its result; a task that cannot be scored leaves the answers as they are."""
    scoring = bar.add_task(f"scoring {work.built.reducer.name}", total=None)
    try:
        scored = [
            score_task(tasks, name, found, work.rows, work.run.cell.limit, work.run.folder)
            for name, found in documents.items()
        ]
    except WinnowError as error:
        print(f"run {work.run.id} is not scored: {error}", file=sys.stderr)
        return INCOMPLETE
    finally:
        bar.remove_task(scoring)
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


@contextmanager
def _bar() -> Iterator[Progress]:
    """A progress bar on the terminal, nothing in a log."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=STATUS, transient=True, disable=not STATUS.is_terminal) as bar:
        yield bar

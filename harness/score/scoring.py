"""Scores recorded answers: lmms-eval judges each answer, the means and intervals are our own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from winnow.harness.data.document import Document
from winnow.harness.data.documents import Tasks
from winnow.harness.data.faults import counted
from winnow.harness.run.record import Row
from winnow.harness.run.result import FigureResult, TaskResult
from winnow.harness.score.evaluation import Evaluation, Judged, evaluate
from winnow.harness.score.layout import lay_out
from winnow.harness.score.stats import figure, percent
from winnow.harness.tasks.kinds.boxes import as_asked
from winnow.reducers.core.errors import WinnowError


@dataclass(frozen=True)
class Scored:
    """One task, scored.

    Attributes
    ----------
    summary : dict
        What `result.json` holds of it; accuracies are on the scale 0 to 100, over all documents.
    samples : list of dict
        One per document: prompt, answer, target, status and scores.
    scores : list of dict
        What runs are compared by, sample by sample: document, metric, score, the stratum that it belongs to, and the
        video or picture that it asks about.
    """

    summary: TaskResult
    samples: list[dict[str, Any]]
    scores: list[dict[str, Any]]


def score_task(
    tasks: Tasks,
    name: str,
    documents: Sequence[Document],
    rows: Mapping[tuple[str, int], Row],
    folder: Path,
    family: str = "",
) -> Scored:
    """Score the recorded answers of one task.

    Parameters
    ----------
    tasks : Tasks
    name : str
    documents : sequence of Document
        All of the task's documents.
    rows : mapping
        What was answered, by task and document; failed rows score 0.
    folder : Path
        Where submission files are written.
    family : str
        Of the model that answered: some write boxes in a scale of their own.

    Raises
    ------
    WinnowError
        If lmms-eval cannot score the task.
    """
    benchmark = tasks.benchmark(name)
    found = [rows[d.task, d.doc_id] for d in documents]
    if benchmark and benchmark.boxes:
        found = [replace(row, answer=as_asked(row.answer, family, row.grids)) for row in found]
    answers = {row.key: row.answer for row in found}
    if benchmark is None:
        evaluation = evaluate(tasks, name, answers, folder)
        return _score_by_metric(tasks.config.metric, name, documents, found, evaluation)
    from winnow.harness.score.benchmarks import score_benchmark

    theirs = (benchmark.barred and benchmark.barred()) or None
    if benchmark.metric and theirs is None:
        try:
            theirs = evaluate(tasks, name, answers, folder).figures.get(benchmark.metric)
        except WinnowError as error:
            theirs = str(error)
    scored = Scored(*score_benchmark(tasks, benchmark, documents, found, theirs, folder))
    for sample, row in zip(scored.samples, found, strict=True):
        if benchmark.boxes:
            sample |= {"answer": rows[row.key].answer, "box": row.answer}
    return scored


def rehearse(tasks: Tasks, name: str, documents: Sequence[Document]) -> None:
    """Score one empty answer before the first true one, so that what cannot score costs seconds and no answers.

    A benchmark's figure is our own, and lmms-eval's stands beside it with a reason where it fails; of other tasks
    lmms-eval's is the only one.

    Parameters
    ----------
    tasks : Tasks
    name : str
    documents : sequence of Document
        The task's documents.

    Raises
    ------
    WinnowError
        If lmms-eval cannot score the task, or does not give its metric.
    """
    from winnow.harness.score import benchmarks  # noqa: F401

    if tasks.benchmark(name) is not None or not documents:
        return
    first = documents[0]
    row = Row(first.task, first.doc_id, first.fingerprint)
    with TemporaryDirectory() as folder:
        evaluation = evaluate(tasks, name, {row.key: row.answer}, Path(folder))
    _score_by_metric(tasks.config.metric, name, documents[:1], [row], evaluation)


def _score_by_metric(
    metric: str | None, name: str, documents: Sequence[Document], rows: Sequence[Row], evaluation: Evaluation
) -> Scored:
    """Average one of the task's metrics over all documents."""
    samples = [_sample(d, row, evaluation.judged.pop(d.doc_id)) for d, row in zip(documents, rows, strict=True)]
    metric = _check_metric(metric, name, samples)
    scores = [
        {key: sample[key] for key in ("task", "doc_id", "doc", "status")}
        | {"metric": key, "score": score, "stratum": "", "media": row.media}
        for sample, row in zip(samples, rows, strict=True)
        for key, score in sample["scores"].items()
    ]
    return Scored(_summary(metric, name, samples, scores, evaluation.figures.get(metric)), samples, scores)


def _sample(document: Document, row: Row, judged: Judged) -> dict[str, Any]:
    return {
        "task": row.task,
        "doc_id": row.doc_id,
        "doc": row.doc,
        "prompt": document.text,
        "target": judged.target,
        "answer": row.answer,
        "status": row.status,
        "reason": row.reason,
        "scores": judged.scores if row.status == "ok" else dict.fromkeys(judged.scores, 0.0),
    }


def _check_metric(metric: str | None, name: str, samples: Sequence[Mapping[str, Any]]) -> str:
    """Refuse metrics that are missing or not on the scale 0 to 1."""
    for sample in samples:
        value = sample["scores"].get(metric) if metric else None
        if value is None:
            choices = ", ".join(sorted({key for s in samples for key in s["scores"]}))
            raise WinnowError(f"task '{name}' gives no '{metric}' per document: set tasks.metric to one of {choices}")
        if not 0 <= value <= 1:
            raise WinnowError(f"task '{name}' scores a document with {metric}={value:g}: only 0 to 1 is understood")
    return str(metric)


def _summary(
    metric: str,
    name: str,
    samples: Sequence[Mapping[str, Any]],
    scores: Sequence[Mapping[str, Any]],
    theirs: Any,
) -> TaskResult:
    by_metric: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for score in scores:
        by_metric[score["metric"]].append(score)
    failed = [(sample["doc_id"], sample["reason"]) for sample in samples if sample["status"] != "ok"]
    made = {
        "task": name,
        "metric": metric,
        "documents": len(samples),
        "failed": len(failed),
        "reasons": counted(failed),
        **_interval(by_metric[metric]),
        "lmms_eval": theirs,
        "breakdown": {
            key: {**_interval(found), "documents": len(found)}
            for key, found in sorted(by_metric.items())
            if all(0 <= score["score"] <= 1 for score in found)
        },
    }
    return cast(TaskResult, made)


def _interval(scores: Sequence[Mapping[str, Any]]) -> FigureResult:
    return percent(figure([score["score"] for score in scores], lay_out([score["media"] for score in scores])))

"""Scores recorded answers: lmms-eval judges each answer, the means and intervals are our own."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np

from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.data.document import Document
from winnow.harness.data.documents import Tasks
from winnow.harness.data.faults import counted
from winnow.harness.run.record import Row
from winnow.harness.run.result import FigureResult, TaskResult
from winnow.harness.score.layout import lay_out
from winnow.harness.score.stats import figure, percent
from winnow.harness.tasks.lmms_eval import quiet, replay
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
    limit: int | None,
    folder: Path,
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
    limit : int or None
    folder : Path
        Where submission files are written.

    Raises
    ------
    WinnowError
        If lmms-eval cannot score the task.
    """
    found = [rows[d.task, d.doc_id] for d in documents]
    answers = {row.key: row.answer for row in found}
    benchmark = tasks.benchmark(name)
    if benchmark is None:
        evaluation = _evaluate(tasks, name, answers, limit, folder)
        return _score_by_metric(tasks.config.metric, name, documents, found, evaluation)
    from winnow.harness.score.benchmarks import score_benchmark

    theirs = None
    if benchmark.metric:
        try:
            theirs = _figure(_evaluate(tasks, name, answers, limit, folder)["results"][name], benchmark.metric)
        except WinnowError as error:
            theirs = str(error)
    return Scored(*score_benchmark(tasks, benchmark, documents, found, theirs, folder))


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
        evaluation = _evaluate(tasks, name, {row.key: row.answer}, 1, Path(folder))
    _score_by_metric(tasks.config.metric, name, documents[:1], [row], evaluation)


def _score_by_metric(
    metric: str | None, name: str, documents: Sequence[Document], rows: Sequence[Row], evaluation: Mapping[str, Any]
) -> Scored:
    """Average one of the task's metrics over all documents."""
    judged = {sample["doc_id"]: sample for sample in reversed(evaluation["samples"].pop(name))}
    samples = [_sample(d, row, judged.pop(d.doc_id)) for d, row in zip(documents, rows, strict=True)]
    metric = _check_metric(metric, name, samples)
    scores = [
        {key: sample[key] for key in ("task", "doc_id", "doc", "status")}
        | {"metric": key, "score": score, "stratum": "", "media": row.media}
        for sample, row in zip(samples, rows, strict=True)
        for key, score in sample["scores"].items()
    ]
    return Scored(_summary(metric, name, samples, scores, evaluation["results"][name]), samples, scores)


def _evaluate(tasks: Tasks, name: str, answers: Mapping[tuple[str, int], str], limit: int | None, folder: Path) -> Any:
    """Run lmms-eval on one task, with fresh task objects, in document order, without its bootstrap and its threads."""
    from lmms_eval.evaluator import simple_evaluate

    try:
        with quiet(), tasks.data.home():
            return simple_evaluate(
                model=replay(answers),
                tasks=[tasks.spec(name)],
                task_manager=tasks.manager,
                limit=limit,
                bootstrap_iters=0,
                log_samples=True,
                process_docs_parallel=1,
                datetime_str=datetime.now(UTC).isoformat(timespec="seconds"),
                cli_args=argparse.Namespace(output_path=str(folder), process_with_media=True, reasoning_tags=None),
                verbosity="ERROR",
            )
    except (Exception, SystemExit) as error:
        raise WinnowError(f"lmms-eval cannot score task '{name}': {first_line(root_cause(error))}") from error


def _sample(document: Document, row: Row, judged: Mapping[str, Any]) -> dict[str, Any]:
    known = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "token_counts", "doc_hash", "input"}
    values = {key: _number(value) for key, value in judged.items() if key not in known}
    scores = {key: value for key, value in values.items() if value is not None}
    if row.status != "ok":
        scores = dict.fromkeys(scores, 0.0)
    return {
        "task": row.task,
        "doc_id": row.doc_id,
        "doc": row.doc,
        "prompt": document.text,
        "target": judged.get("target"),
        "answer": row.answer,
        "status": row.status,
        "reason": row.reason,
        "scores": scores,
    }


def _number(value: Any) -> float | None:
    """The score of one sample: a number, or the ``score`` of a dictionary; None for anything else."""
    if isinstance(value, Mapping):
        value = value.get("score")
    return float(value) if isinstance(value, bool | int | float | np.number) else None


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
    theirs: Mapping[str, Any],
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
        "lmms_eval": _figure(theirs, metric),
        "breakdown": {
            key: {**_interval(found), "documents": len(found)}
            for key, found in sorted(by_metric.items())
            if all(0 <= score["score"] <= 1 for score in found)
        },
    }
    return cast(TaskResult, made)


def _figure(results: Mapping[str, Any], metric: str) -> Any:
    """lmms-eval's own figure."""
    return next((value for key, value in results.items() if key.startswith(f"{metric},")), None)


def _interval(scores: Sequence[Mapping[str, Any]]) -> FigureResult:
    return percent(figure([score["score"] for score in scores], lay_out([score["media"] for score in scores])))

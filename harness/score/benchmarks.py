"""The result of a benchmark: its figure over all documents, lmms-eval's own beside it, and the papers' break-downs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from winnow.harness.common import files
from winnow.harness.data.document import Document
from winnow.harness.data.documents import Tasks
from winnow.harness.data.faults import counted
from winnow.harness.run.record import Row
from winnow.harness.run.result import FigureResult, TaskResult
from winnow.harness.score.marking import Mark, Unit, break_down, figure_of, mark, units
from winnow.harness.score.stats import percent
from winnow.harness.tasks.benchmark import Benchmark

FAILED = "Failed"
EXACT = "exact_match"
CUT = "cut off at the limit"
CLOSE = 0.01
EMPTY = "lmms-eval judges the empty answer of a document that failed"


def score_benchmark(
    tasks: Tasks,
    benchmark: Benchmark,
    documents: Sequence[Document],
    rows: Sequence[Row],
    theirs: Any,
    folder: Path,
) -> tuple[TaskResult, list[dict[str, Any]], list[dict[str, Any]]]:
    """Score a benchmark's recorded answers.

    Parameters
    ----------
    tasks : Tasks
    benchmark : Benchmark
    documents, rows : sequence
        Entry i of both is the same document.
    theirs : float, str or None
        lmms-eval's figure, or why it has none.
    folder : Path
        Where a submission file goes.

    Returns
    -------
    tuple
        Summary, samples and scores, as `winnow.harness.score.scoring.Scored` holds them.
    """
    with tasks.data.home():
        marks = mark(benchmark, tasks.load(benchmark.task), rows)
    metric = benchmark.metric or EXACT
    samples = [_sample(benchmark, d, found, metric) for d, found in zip(documents, marks, strict=True)]
    if benchmark.submission:
        path = _submit(benchmark, marks, folder)
        unscored = _counts(benchmark, marks, tasks) | {"metric": None, "mean": None, "file": path.name}
        return cast(TaskResult, unscored), samples, []
    found = units(benchmark, marks)
    counted = [unit for unit in found if unit.counted]
    summary = cast(TaskResult, _counts(benchmark, marks, tasks) | _summary(benchmark, metric, found, counted, theirs))
    if more := _further(benchmark, marks):
        summary["figures"] = more
    return summary, samples, [_score(unit, metric) for unit in counted]


def _further(benchmark: Benchmark, marks: Sequence[Mark]) -> dict[str, float]:
    """Figures beside the one that counts, and the share of answers that were cut off at the limit."""
    found = detection(marks) if benchmark.metric == "pope_accuracy" else {}
    if benchmark.further:
        answered = [(one.doc, one.row.answer if one.row.status == "ok" else "", one.score) for one in marks]
        found |= {name: round(value, 4) for name, value in benchmark.further(answered).items()}
    cut = sum(one.row.cut for one in marks)
    return found | ({CUT: round(100 * cut / len(marks), 4)} if benchmark.cap and cut else {})


def _counts(benchmark: Benchmark, marks: Sequence[Mark], tasks: Tasks) -> dict[str, Any]:
    """How many documents there are, failed, and said nothing that could be understood."""
    failed = [(found.row.doc_id, found.row.reason) for found in marks if found.row.status != "ok"]
    unparsed = sum(not found.parsed and found.row.status == "ok" for found in marks)
    answered = [found.row for found in marks if found.row.status == "ok"]
    return {
        "task": benchmark.task,
        "documents": len(marks),
        "failed": len(failed),
        "reasons": counted(failed),
        "unparsed": unparsed,
        "verdict": FAILED if unparsed > tasks.config.failed_above * len(marks) else None,
        "visual_tokens": _visual(answered),
        **_reader(benchmark, marks),
    }


def _reader(benchmark: Benchmark, marks: Sequence[Mark]) -> dict[str, Any]:
    """What the one reader of options makes of the same answers, and how often lmms-eval's code takes another option."""
    read = [(found, found.readings) for found in marks if found.readings]
    if not read:
        return {}
    said = [readings for found, readings in read if found.row.status == "ok"]
    counts = {
        "documents": len(marks),
        "unread": sum(not ours.parsed for _, ours in said),
        "disagree": sum(theirs.letter != ours.letter for theirs, ours in said),
    }
    found = units(benchmark, [replace(found, reading=ours) for found, (_, ours) in read])
    counted = [unit for unit in found if unit.counted]
    figure = {"mean": None} if benchmark.submission else _figure(benchmark, counted)
    return {"reader": {**figure, **counts}}


def _visual(rows: Sequence[Row]) -> dict[str, float] | None:
    """Mean visual tokens of the prompt, at the LLM's entrance, as the mean over its layers, and in its last one."""
    seen = [row for row in rows if row.visual_per_layer]
    if not seen:
        return None
    parts: dict[str, list[float]] = {
        "prompt": [row.visual for row in seen],
        "entrance": [row.visual_per_layer[0] for row in seen],
        "mean": [sum(row.visual_per_layer) / len(row.visual_per_layer) for row in seen],
        "last": [row.visual_per_layer[-1] for row in seen],
    }
    return {name: round(sum(counts) / len(seen), 2) for name, counts in parts.items()}


def _summary(
    benchmark: Benchmark, metric: str, found: Sequence[Unit], counted: Sequence[Unit], theirs: Any
) -> dict[str, Any]:
    ours = _figure(benchmark, counted)
    return {
        "metric": metric,
        "combine": benchmark.combine,
        "units": len(counted),
        **ours,
        **_beside(benchmark, ours["mean"], theirs),
        "breakdown": {
            name: {**percent(figure_of(benchmark, part)), "documents": len(part)}
            for name, part in break_down(benchmark, found).items()
        },
    }


def _figure(benchmark: Benchmark, counted: Sequence[Unit]) -> FigureResult:
    """The figure of what counts; 0 where nothing does, as of a few documents that only the break-down shows."""
    return percent(figure_of(benchmark, counted)) if counted else {"mean": 0.0, "low": 0.0, "high": 0.0}


def _beside(benchmark: Benchmark, ours: float, theirs: Any) -> dict[str, Any]:
    """lmms-eval's own figure on our scale, and why it differs if it does."""
    if not isinstance(theirs, int | float):
        return {"lmms_eval": None, "note": "; ".join(filter(None, (str(theirs or ""), benchmark.quirk)))}
    scaled = round(float(theirs) * benchmark.scale, 4)
    scaled = round(100 - scaled, 4) if benchmark.complement else scaled
    if abs(scaled - ours) <= CLOSE:
        return {"lmms_eval": scaled}
    return {
        "lmms_eval": scaled,
        "note": benchmark.quirk or EMPTY,
    }


def detection(marks: Sequence[Mark]) -> dict[str, float]:
    """Precision, recall, F1 and the share of yes, from what was said: of POPE the papers print F1."""
    truth = [str(found.doc["answer"]).lower().strip() == "yes" for found in marks]
    right = [found.score == 1 for found in marks]
    said = [found.parsed and (yes == good) for found, yes, good in zip(marks, truth, right, strict=True)]
    hits = sum(yes and says for yes, says in zip(truth, said, strict=True))
    precision, recall = hits / max(sum(said), 1), hits / max(sum(truth), 1)
    f1 = 2 * precision * recall / (precision + recall) if hits else 0.0
    parts = {"precision": precision, "recall": recall, "f1": f1, "yes": sum(said) / len(marks)}
    return {name: round(100 * value, 4) for name, value in parts.items()}


def _sample(benchmark: Benchmark, document: Document, found: Mark, metric: str) -> dict[str, Any]:
    row = found.row
    return {
        "task": row.task,
        "doc_id": row.doc_id,
        "doc": row.doc,
        "prompt": document.text,
        "question": found.doc.get("question"),
        "target": found.doc.get(benchmark.answer) if benchmark.answer else None,
        "answer": row.answer,
        "status": row.status,
        "reason": row.reason,
        "parsed": found.parsed,
        "letters": {"lmms_eval": found.readings[0].letter, "reader": found.readings[1].letter}
        if found.readings
        else None,
        "scores": {} if benchmark.submission else {metric: found.score},
    }


def _score(unit: Unit, metric: str) -> dict[str, Any]:
    row = unit.first.row
    return {
        "task": row.task, "doc_id": row.doc_id, "doc": row.doc, "status": row.status,
        "metric": metric, "score": unit.value, "stratum": unit.stratum, "media": row.media,
    }  # fmt: skip


def _submit(benchmark: Benchmark, marks: Sequence[Mark], folder: Path) -> Path:
    """Write the answers as the benchmark's server takes them: one mapping, or a list of records."""
    values: list[Any] = [found.value for found in marks]
    merged: Any = values
    if benchmark.task == "egoschema":
        merged = {name: index for value in values if isinstance(value, Mapping) for name, index in value.items()}
    path = folder / f"submission_{benchmark.task}.json"
    files.write_text(path, json.dumps(merged, ensure_ascii=False) + "\n")
    return path

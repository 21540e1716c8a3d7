"""What lmms-eval makes of recorded answers: its own evaluation, of some documents at a time."""

from __future__ import annotations

import argparse
import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.data.documents import Tasks
from winnow.harness.score.steady import steadied
from winnow.harness.tasks.lmms_eval import quiet, replay
from winnow.reducers.core.errors import WinnowError

PART = 2000
"""Documents that lmms-eval holds at once: it keeps some 3.5 kB of each."""
KNOWN = {"doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "token_counts", "doc_hash", "input"}
"""What lmms-eval logs of a document beside its metrics."""


class Judged(NamedTuple):
    """One document: what would have been right, and its number in each metric."""

    target: Any
    scores: dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """One task.

    Attributes
    ----------
    judged : dict
        By number of the document.
    figures : dict
        lmms-eval's own, over all documents, by metric; of its first filter.
    """

    judged: dict[int, Judged] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)


def evaluate(tasks: Tasks, name: str, answers: Mapping[tuple[str, int], str], folder: Path) -> Evaluation:
    """Run lmms-eval on the first documents of a task, in document order, without its bootstrap and its threads.

    Parameters
    ----------
    tasks : Tasks
    name : str
    answers : mapping
        By task and document, one for each.
    folder : Path
        Where submission files are written.

    Raises
    ------
    WinnowError
        If lmms-eval cannot score the task.
    """
    made = Evaluation()
    try:
        with quiet(), tasks.data.home(), _gathered() as whole:
            for start in range(0, len(answers), PART):
                found = _part(tasks, name, answers, start, folder)
                made.judged.update((sample["doc_id"], _judged(sample)) for sample in reversed(found["samples"][name]))
            with steadied(tasks.benchmark(name), whole.task):
                whole.calculate_aggregate_metric(0)
    except (Exception, SystemExit) as error:
        raise WinnowError(f"lmms-eval cannot score task '{name}': {first_line(root_cause(error))}") from error
    for metric, chosen in whole.sample_metrics:
        made.figures.setdefault(metric, whole.agg_metrics.get(f"{metric},{chosen}"))
    return made


def _part(tasks: Tasks, name: str, answers: Mapping[tuple[str, int], str], start: int, folder: Path) -> Any:
    """Some documents, with fresh task objects."""
    if start:
        gc.collect()  # task objects refer to themselves: those of the part before would stay
    (task,) = tasks.manager.load_task_or_group([tasks.spec(name)]).values()
    with steadied(tasks.benchmark(name), task):
        return _evaluate(tasks, task, answers, start, folder)


def _evaluate(tasks: Tasks, task: Any, answers: Mapping[tuple[str, int], str], start: int, folder: Path) -> Any:
    from lmms_eval.evaluator import simple_evaluate

    return simple_evaluate(
        model=replay(answers),
        tasks=[task],
        task_manager=tasks.manager,
        limit=min(PART, len(answers) - start),
        offset=start,
        bootstrap_iters=0,
        log_samples=True,
        process_docs_parallel=1,
        datetime_str=datetime.now(UTC).isoformat(timespec="seconds"),
        cli_args=argparse.Namespace(output_path=str(folder), process_with_media=True, reasoning_tags=None),
        verbosity="ERROR",
    )


@contextmanager
def _gathered() -> Iterator[Any]:
    """Let lmms-eval's figures wait for the last part: its aggregation is of all documents or of none."""
    from lmms_eval.evaluator_utils import TaskOutput

    whole = TaskOutput()
    aggregate = TaskOutput.calculate_aggregate_metric

    def gather(part: Any, *_: object, **__: object) -> None:
        whole.task = part.task
        for key, values in part.sample_metrics.items():
            whole.sample_metrics[key].extend(values)

    with patch.object(TaskOutput, "calculate_aggregate_metric", gather):
        whole.calculate_aggregate_metric = lambda iterations: aggregate(whole, iterations)
        yield whole


def _judged(sample: Mapping[str, Any]) -> Judged:
    values = {key: _number(value) for key, value in sample.items() if key not in KNOWN}
    return Judged(sample.get("target"), {key: value for key, value in values.items() if value is not None})


def _number(value: Any) -> float | None:
    """The score of one sample: a number, or the ``score`` of a dictionary; None for anything else."""
    if isinstance(value, Mapping):
        value = value.get("score")
    return float(value) if isinstance(value, bool | int | float | np.number) else None

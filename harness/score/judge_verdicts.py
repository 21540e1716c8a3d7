"""A judge's verdicts outlive a new scoring of the same answers, as they were paid for."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import Any

from winnow.harness.common.run_files import read_samples
from winnow.harness.run.result import read_result
from winnow.harness.score.scoring import Scored
from winnow.reducers.core.errors import WinnowError

ASKED = ("doc_id", "question", "target", "answer", "status")
"""What of a sample the judge is asked about."""


def verdicts_path(folder: Path, task: str) -> Path:
    """Where a run keeps what a judge said of a task's answers."""
    return folder / f"judged_{task}.jsonl"


def keep_verdict(folder: Path, scored: Scored) -> None:
    """Take over what a judge said of a run before it was scored anew, if it was asked the very same.

    Call it before the new samples and the new result are written.
    """
    task = scored.summary["task"]
    try:
        before = read_result(folder)["tasks"]
        said = next((found["judge"] for found in before if found["task"] == task and "judge" in found), None)
        same = said is not None and _equal(_asked(read_samples(folder, task)), _asked(scored.samples))
    except (OSError, ValueError, KeyError, TypeError, WinnowError):  # a damaged run has no verdict to keep
        said, same = None, False
    if said is not None and same:
        scored.summary["judge"] = said
    elif verdicts_path(folder, task).exists():
        verdicts_path(folder, task).unlink()
        print(
            f"run {folder.name}: {task} has other labels or answers than the judge saw: `winnow judge {folder.name}` "
            "asks again about those that changed",
            file=sys.stderr,
        )


def _asked(samples: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    return (json.dumps([sample.get(name) for name in ASKED], default=str) for sample in samples)


def _equal(some: Iterable[str], others: Iterable[str]) -> bool:
    return all(one == other for one, other in zip_longest(some, others))

"""Answers that were read, and benchmarks, made by hand."""

from types import SimpleNamespace
from typing import Any

from values import anew

from winnow.harness.run.record import Row
from winnow.harness.score.marking import Mark
from winnow.harness.tasks.benchmark import Reading


def mark(number: int, score: float = 1.0, status: str = "ok", parsed: bool = True, **doc: Any) -> Mark:
    row = Row("t", number, f"print {number}", status=anew(status), media=doc.pop("media", ""))  # type: ignore[arg-type]
    return Mark(number, doc, row, Reading(score, parsed))


def benchmark(**more: Any) -> Any:
    usual: dict[str, Any] = {
        "task": "t", "metric": "m", "unit": None, "counted": None, "worth": "mean", "strata": None, "combine": "mean",
        "breakdown": (), "submission": False, "further": None, "cap": None, "quirk": "", "scale": 100.0,
        "complement": False, "answer": "answer",
    }  # fmt: skip
    return SimpleNamespace(**usual | more)

"""Runs written by hand: as much of a result, and of its scores, as comparing takes."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from winnow.harness.common import files

Rows = list[dict[str, Any]]


def write_scores(folder: Path, rows: Rows) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "scores.parquet")


def task(name: str, mean: float | None = 50.0, half: float = 2.0, **more: Any) -> dict[str, Any]:
    bounds = {} if mean is None else {"low": mean - half, "high": mean + half}
    return {"task": name, "metric": None if mean is None else "m", "mean": mean} | bounds | more


def result(run: str, *tasks: str, combine: str = "mean", **more: Any) -> Any:
    """A finished run of FastV; the day in `finished` is told by `day`."""
    day = more.pop("day", 1)
    return {
        "id": run, "context": "c", "settings": run, "status": "complete", "finished": f"2026-01-{day:02}T00:00:00",
        "model": "pico", "reducer": "fastv", "label": "fastv", "knobs": {}, "asked": "", "ratio": None, "budget": None,
        "documents": 4, "failed": 0, "shares": None, "cost": None, "tasks": [task(t, combine=combine) for t in tasks],
    } | more  # fmt: skip


def write_run(folder: Path, scores: list[float], run: str, **more: Any) -> Any:
    """A run of one task on disk, one video a document."""
    made = result(run, "t", **more)
    write_scores(folder / run, [
        {"task": "t", "doc_id": i, "metric": "m", "score": float(score), "stratum": "", "media": f"v{i}"}
        for i, score in enumerate(scores)
    ])  # fmt: skip
    files.write_json(folder / run / "result.json", made)
    return made

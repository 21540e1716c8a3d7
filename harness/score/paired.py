"""Two runs against each other on the same samples, by benchmark, with questions about one video kept together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from winnow.harness.score.stats import Difference, clustered_difference
from winnow.reducers.core.errors import WinnowError

Result = dict[str, Any]
Key = tuple[str, int]


@dataclass(frozen=True)
class Compared:
    """A paired difference on one benchmark, in points of its figure.

    Attributes
    ----------
    difference : Difference
    samples, videos : int
        Questions, and videos (or pictures) that they are about.
    agree : float
        Share of the samples that both runs scored the same.
    """

    difference: Difference
    samples: int
    videos: int
    agree: float


def compare(first: Path, second: Path, result: Result, tasks: tuple[str, ...]) -> Compared:
    """Compare two runs on the samples of some tasks.

    Parameters
    ----------
    first, second : Path
        Folders of the runs.
    result : dict
        Of the first run: which metric counts, and whether the figure is a mean or a sum over strata.
    tasks : tuple of str

    Raises
    ------
    WinnowError
        If the runs answered different documents.
    """
    import numpy as np

    scored = {task["task"]: task for task in result["tasks"] if task["task"] in tasks and task["metric"]}
    gaps, weights, clusters, scale = [], [], [], 0.0
    for name, task in scored.items():
        ours, theirs = (scores(folder).get((name, task["metric"]), {}) for folder in (first, second))
        if set(ours) != set(theirs):
            raise WinnowError(f"{first.name} and {second.name} hold different documents of '{name}': run both again")
        where = videos(first)
        strata: dict[str, int] = {}
        for stratum, _ in ours.values():
            strata[stratum] = strata.get(stratum, 0) + 1
        for document, (stratum, score) in ours.items():
            gaps.append(score - theirs[document][1])
            weights.append(1 / strata[stratum])
            clusters.append(where.get((name, document), ""))
        scale += len(strata) if task.get("combine") == "sum" else 1
    if not gaps:
        raise WinnowError(f"{first.name} and {second.name} share no scored task of {', '.join(tasks)}")
    even = np.ptp(weights) == 0
    found = clustered_difference(np.array(gaps), clusters, None if even else np.array(weights))
    factor = 100 * scale / max(1, len(scored))
    points = Difference(found.mean * factor, found.low * factor, found.high * factor, found.p)
    count = len(set(filter(None, clusters))) + clusters.count("")
    return Compared(points, len(gaps), count, float(np.mean(np.array(gaps) == 0)))


@lru_cache(maxsize=64)
def scores(folder: Path) -> Mapping[tuple[str, str], dict[int, tuple[str, float]]]:
    """Read a run's scores: task and metric -> document -> stratum and score."""
    import pyarrow.parquet as pq

    found: dict[tuple[str, str], dict[int, tuple[str, float]]] = {}
    for row in pq.read_table(folder / "scores.parquet").to_pylist():
        found.setdefault((row["task"], row["metric"]), {})[row["doc_id"]] = (row.get("stratum", ""), row["score"])
    return found


@lru_cache(maxsize=64)
def videos(folder: Path) -> Mapping[Key, str]:
    """Read what each document is about; empty for runs that did not note it."""
    import pyarrow.parquet as pq

    path = folder / "traces.parquet"
    if not path.exists() or "media" not in pq.read_schema(path).names:
        return {}
    rows = pq.read_table(path, columns=["task", "doc_id", "media"]).to_pylist()
    return {(row["task"], row["doc_id"]): row["media"] for row in rows}

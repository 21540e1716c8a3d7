"""Means over tasks that the papers print as one figure: MVBench's 20 kinds, POPE's three splits."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from winnow.harness.tasks.catalogue import MEANS


def pooled(tasks: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Put the mean of a whole group in the place of its tasks; their samples are independent, so variances add.

    Parameters
    ----------
    tasks : mapping
        Task -> mean, low, high and whatever else is known of it.
    """
    found = dict(tasks)
    for name, members in MEANS.items():
        if all(member in found and found[member]["mean"] is not None for member in members):
            values = [found.pop(member) for member in members]
            found[name] = _mean(values)
    return found


def _mean(values: list[dict[str, Any]]) -> dict[str, Any]:
    mean = sum(value["mean"] for value in values) / len(values)
    half = math.sqrt(sum(((value["high"] - value["low"]) / 2) ** 2 for value in values)) / len(values)
    failed = next((value["verdict"] for value in values if value.get("verdict")), None)
    return {"mean": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4), "verdict": failed}


def figures(tasks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What each task, or a group of tasks that the papers print the mean of, is worth."""
    return pooled({task["task"]: task for task in tasks})

"""Means over tasks that the papers print as one figure: MVBench's 20 kinds, POPE's three splits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from winnow.harness.common.run_files import Score
from winnow.harness.run.result import FigureResult, ReaderResult, Result, TaskResult
from winnow.harness.tasks.catalogue import MEANS

if TYPE_CHECKING:
    from winnow.harness.score.layout import Layout


def layout_of(parts: Sequence[tuple[TaskResult, Sequence[Score]]]) -> Layout:
    """Lay out the samples of one task, or of several whose mean is wanted."""
    from winnow.harness.score.layout import lay_out, side_by_side

    layouts = [
        lay_out(
            [score.media for score in scores],
            [score.stratum for score in scores],
            "sum" if task.get("combine") == "sum" else "mean",
        )
        for task, scores in parts
    ]
    names = [score.media for _, scores in parts for score in scores]
    return side_by_side(layouts, names)


def means_of(tasks: Mapping[str, tuple[TaskResult, Sequence[Score]]]) -> dict[str, FigureResult]:
    """The means of whole groups among some tasks; a video or picture that several of them ask about is one cluster."""
    from winnow.harness.score.stats import figure, percent

    found: dict[str, FigureResult] = {}
    for name, members in MEANS.items():
        parts = [tasks[member] for member in members if member in tasks]
        if len(parts) == len(members) and all(task["mean"] is not None for task, _ in parts):
            values = [score.score for _, scores in parts for score in scores]
            failed = next((task["verdict"] for task, _ in parts if task.get("verdict")), None)
            found[name] = {**percent(figure(values, layout_of(parts))), "verdict": failed}
            reader = reader_of([task for task, _ in parts])
            if reader:
                found[name]["reader"] = reader
    return found


def reader_of(tasks: Sequence[TaskResult]) -> ReaderResult | None:
    """What the one reader of options makes of a whole group: the mean of its figures, and its counts added up."""
    read = [task["reader"] for task in tasks if "reader" in task]
    if not read:
        return None
    return {
        "mean": round(sum(found["mean"] for found in read) / len(read), 4),
        "documents": sum(found["documents"] for found in read),
        "unread": sum(found["unread"] for found in read),
        "disagree": sum(found["disagree"] for found in read),
    }


def figures(result: Result) -> dict[str, FigureResult]:
    """What each task is worth, and a group that the papers print the mean of in the place of its tasks."""
    means = result.get("means", {})
    hidden = {member for name in means for member in MEANS.get(name, ())}
    return {task["task"]: task for task in result["tasks"] if task["task"] not in hidden} | means


def figure_named(result: Result, name: str) -> FigureResult | None:
    """One figure of a run: a benchmark's, or that of a task which a benchmark folds."""
    parts: dict[str, FigureResult] = {task["task"]: task for task in result["tasks"]}
    return figures(result).get(name, parts.get(name))


def members_of(name: str) -> tuple[str, ...]:
    """The tasks behind a figure."""
    return MEANS.get(name, (name,))

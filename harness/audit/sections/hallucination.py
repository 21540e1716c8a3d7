"""Hallucination by budget: what POPE, HallusionBench and CHAIR say of a method at each budget that was run."""

from __future__ import annotations

from collections.abc import Iterator

from winnow.harness.audit.card import Curve, Line
from winnow.harness.audit.measures.abilities import HALLUCINATION, ability
from winnow.harness.audit.runs import Runs, at_budgets
from winnow.harness.run.result import TaskResult

MAIN = {"coco_cap_chair": "captions that invent nothing"}
"""How the figure of a task is called that is no accuracy."""
MORE = {"yes": "share of yes"}


def tasks(runs: Runs) -> list[str]:
    """The method's tasks that ask for what is not there."""
    return [task["task"] for task in runs["method"].result["tasks"] if ability(task["task"]) == HALLUCINATION]


def by_budget(runs: Runs) -> Iterator[Line]:
    """Each figure of each such task, from the unreduced model down to the smallest budget."""
    for task in tasks(runs):
        for share, found in _found(runs, task):
            at, n = f"at {share:.1f} % of the visual tokens", found.get("documents")
            yield Line(f"{_main(task)} {at}", found["mean"], "%", found["low"], found["high"], n, on=task)
            for name, value in found.get("figures", {}).items():
                yield Line(f"{MORE.get(name, name)} {at}", value, "%", n=n, on=task)


def curves(runs: Runs) -> Iterator[Curve]:
    """The figure of each such task against the share of visual tokens, where there is more than one budget."""
    for task in tasks(runs):
        points = [(share, found["mean"], found["low"], found["high"]) for share, found in _found(runs, task)]
        if len(points) > 1:
            yield Curve(f"{_main(task)}, {task}", points, "visual tokens, mean over layers (%)", "%")


def _main(task: str) -> str:
    return MAIN.get(task, "accuracy")


def _found(runs: Runs, name: str) -> list[tuple[float, TaskResult]]:
    """A task's figures with the share of visual tokens that they cost, the largest first."""
    found = [(ran.spent, task) for ran in at_budgets(runs) for task in ran.result["tasks"] if task["task"] == name]
    return [(share, task) for share, task in found if task["mean"] is not None]

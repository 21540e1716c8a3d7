"""`winnow figures RUN`: every figure of a run beside lmms-eval's own, with its break-down."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from winnow.harness.common.console import Format
from winnow.harness.run.result import FigureResult, TaskResult


def figures(
    run: Annotated[str, typer.Argument(help="The name of a run, or the beginning of it.")],
    form: Annotated[Format, typer.Option("--format", help="How to print it.")] = "rich",
    results: Annotated[Path, typer.Option(help="Folder of the runs.")] = Path("results/runs"),
) -> None:
    """Print a run's figures and their break-downs, lmms-eval's own, how answers were read, and visual tokens."""
    from winnow.harness.common.console import print_table
    from winnow.harness.common.find_run import find_run
    from winnow.harness.run.result import read_result

    result = read_result(find_run(run, results))
    table = [row for task in result["tasks"] for row in task_rows(task)]
    for name, value in result.get("means", {}).items():
        table += [_row(name, value) | _disagree(value), *_reader(value)]
    print_table(
        table,
        form,
        left=("task", "note"),
        title=f"{result['model']} · {result['label']}",
        wrap=("note",),
        keys=("task",),
    )


def task_rows(task: TaskResult) -> list[dict[str, str]]:
    """One row for the task, one for its judge, one for each part of its break-down."""
    tokens = task.get("visual_tokens") or {}
    row = (
        _row(task["task"], task)
        | {
            "n": str(task.get("documents", "")),
            "failed": str(task.get("failed") or ""),
            "unread %": _share(task.get("unparsed"), task.get("documents", 0)),
            "lmms-eval": _number(task.get("lmms_eval")),
            "visual tokens": _number(tokens.get("entrance")),
            "note": task.get("note") or task.get("file") or "",
        }
        | _disagree(task)
    )
    if task.get("verdict"):
        row["figure"] += f" {task['verdict']}"
    parts = [
        _row(f"  {name}", part) | {"n": str(part.get("documents", ""))}
        for name, part in task.get("breakdown", {}).items()
    ]
    extra = [_row(f"  {name}", {"mean": value}) for name, value in task.get("figures", {}).items()]
    judged = task.get("judge")
    if judged:
        said = {
            "n": str(judged.get("documents", "")),
            "unread %": _share(judged.get("unread"), judged.get("documents", 0)),
            "note": f"score {judged['score']:g}",
        }
        extra.insert(0, _row(f"  judged by {judged.get('model', '')}", judged) | said)
    return [row, *_reader(task), *extra, *parts]


def _reader(value: FigureResult) -> list[dict[str, str]]:
    """The figure by the one reader of options, where there are options."""
    read = value.get("reader")
    if not read:
        return []
    counts = {"n": str(read["documents"]), "unread %": _share(read["unread"], read["documents"])}
    return [_row("  by the one reader of options", read) | counts]


def _disagree(value: FigureResult) -> dict[str, str]:
    read = value.get("reader")
    return {"disagree %": _share(read["disagree"], read["documents"])} if read else {}


def _share(count: int | None, documents: int) -> str:
    """In % of all documents, as the figure is."""
    return "" if count is None or not documents else f"{100 * count / documents:.1f}"


def _row(name: str, value: FigureResult) -> dict[str, str]:
    empty = dict.fromkeys(("n", "failed", "unread %", "disagree %", "lmms-eval", "visual tokens", "note"), "")
    half = f" ± {(value['high'] - value['low']) / 2:.1f}" if "high" in value else ""
    return {"task": name, "figure": "" if value["mean"] is None else f"{value['mean']:.1f}{half}"} | empty


def _number(value: Any) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else ""

"""The table of runs: one row each, on the terminal or as Markdown or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from harness.console import output
from harness.score.drop import BASELINE, baselines, drops, replays, settle
from harness.score.pooled import pooled

Format = Literal["rich", "md", "csv"]
Result = dict[str, Any]
Compared = dict[str, dict[str, float]]
WIDEST = 4
"""So many tasks have columns of their own on the terminal."""
CAPTION = (
    "Shares of visual tokens and FLOPs are what really happened in the prefill, averaged over documents. Accuracy: all "
    "documents, 95 % interval. Δ: paired, against reducer=none; Δ random: against random dropping of as many tokens, "
    "sample by sample (reducer.like). FLOPs and KV cache are modelled, not measured: the LLM only, in the profile that "
    "the column names, 16-bit cache."
)


def rows(results: Sequence[Result], folder: Path) -> list[dict[str, str]]:
    """One row per result: column -> text. Rows of a model stand together, the unreduced run first."""
    unreduced, random = baselines(results), replays(results)
    tasks = list(dict.fromkeys(name for result in results for name in figures(result["tasks"])))
    profiles = list(dict.fromkeys(result["cost"]["profile"] for result in results if result["cost"]))
    ordered = sorted(results, key=_order)
    compared = (
        (
            result,
            drops(result, unreduced.get(result["context"]), folder),
            drops(result, random.get(result["id"]), folder, "gain"),
        )
        for result in ordered
    )
    return [_row(result, tasks, profiles, drop, gain) for result, drop, gain in compared]


def _order(result: Result) -> tuple[Any, ...]:
    share = (result["shares"] or {}).get("mean", 0.0)
    names = [task["task"] for task in result["tasks"]]
    return (
        result["model"],
        names,
        result["context"],
        result["reducer"] != BASELINE,
        result["label"],
        -share,
        result["id"],
    )


def _row(
    result: Result, tasks: Sequence[str], profiles: Sequence[str], drop: Compared, gain: Compared
) -> dict[str, str]:
    shares, cost, budget = result["shares"], result["cost"], result["budget"]
    asked = result["asked"]
    if budget and budget["achieved"] is not None:
        asked += f" → {budget['achieved']:.3g}"
    row = {"model": result["model"], "reducer": result["label"], "at": _place(result), "ratio": asked}
    for name in ("entrance", "mean", "last"):
        row[name] = f"{100 * shares[name]:.1f}" if shares else ""
    scored, drop, gain = figures(result["tasks"]), pooled(drop), pooled(gain)
    for name in tasks:
        row[name] = _figure(scored.get(name))
        row[f"Δ {name}"] = _plus_minus(drop.get(name), sign=True)
        row[f"Δ random {name}"] = _plus_minus(gain.get(name), sign=True)
    for profile in profiles:
        mine = cost is not None and cost["profile"] == profile
        row[f"TFLOPs ({profile})"] = f"{cost['tflops']:.3g}" if mine else ""
        row[f"FLOPs % ({profile})"] = f"{100 * cost['flops_share']:.1f}" if mine else ""
    row["KV MB"] = f"{cost['kv_bytes'] / 1e6:.3g}" if cost else ""
    row["n"] = str(result["documents"])
    row["run"] = result["id"] + (f" incomplete: {result['failed']} failed" if result["failed"] else "")
    return row


def _place(result: Result) -> str:
    return str(result["knobs"].get("schedule") or result["knobs"].get("llm.schedule") or "")


def figures(tasks: Sequence[Result]) -> dict[str, Any]:
    """What each task, or a group of tasks that the papers print the mean of, is worth."""
    return pooled({task["task"]: task for task in tasks})


def _figure(task: Result | None) -> str:
    """A task's figure; a judge's where one has spoken; a file where labels are not public; Failed beyond the limit."""
    if task is None:
        return ""
    judged = task.get("judge")
    if judged:
        return f"{_plus_minus(judged)} / {judged['score']:.2f}"
    if task["mean"] is None:
        return str(task["file"])
    unread = f" ({task['unparsed']} unread)" if task.get("unparsed") else ""
    failed = f" {task['verdict']}" if task.get("verdict") else ""
    return _plus_minus(task) + unread + failed


def _plus_minus(value: dict[str, float] | None, sign: bool = False) -> str:
    """Mean and half of the interval's width."""
    if value is None:
        return ""
    half = (value["high"] - value["low"]) / 2
    return f"{value['mean']:{'+' if sign else ''}.1f} ± {half:.1f}"


def render(table: Sequence[dict[str, str]], form: Format) -> str:
    """Write the table as Markdown or CSV."""
    names = _columns(table)
    if form == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: row[name] for name in names} for row in table)
        return text.getvalue().rstrip("\n")
    lines = [names, ["---"] * len(names), *([row[name].replace("|", "\\|") for name in names] for row in table)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _columns(table: Sequence[dict[str, str]]) -> list[str]:
    """The columns that hold something."""
    return [name for name in table[0] if any(row[name] for row in table)] if table else []


def show(results: Sequence[Result], folder: Path, form: Format = "rich") -> None:
    """Print the table of some results."""
    if not results:
        return
    settle(results, folder)
    table = rows(results, folder)
    names = list(dict.fromkeys(name for result in results for name in figures(result["tasks"])))
    long = _by_task(table, names) if form == "rich" and len(names) > WIDEST else []
    if long:
        hidden = {f"{prefix}{name}" for prefix in ("", "Δ ", "Δ random ") for name in names}
        table = [{key: value for key, value in row.items() if key not in hidden} for row in table]
        print_table(long, form, left=("task", "model", "reducer"), wrap=("reducer",))
    print_table(table, form, left=("model", "reducer", "at", "run"), caption=CAPTION, wrap=("run",))


def _by_task(table: Sequence[dict[str, str]], names: Sequence[str]) -> list[dict[str, str]]:
    """One row per task and run, for sets of tasks that no screen is wide enough for."""
    return [
        {"task": name}
        | {key: row[key] for key in ("model", "reducer", "ratio", "mean")}
        | {"figure": row[name], "Δ": row[f"Δ {name}"], "Δ random": row[f"Δ random {name}"]}
        for name in names
        for row in table
        if row[name]
    ]


def print_table(
    table: Sequence[dict[str, str]],
    form: Format,
    left: Sequence[str] = (),
    title: str = "",
    caption: str = "",
    wrap: Sequence[str] = (),
) -> None:
    """Print rows of text, all with the same keys, without the columns that are empty.

    Parameters
    ----------
    table : sequence of dict
        Column -> text.
    form : {"rich", "md", "csv"}
        Title and caption stand on the terminal; Markdown has the title.
    left : sequence of str
        Columns that are aligned to the left.
    title, caption : str
        Above and below.
    wrap : sequence of str
        Columns that may break into lines.
    """
    if form != "rich":
        print(*([f"**{title}**\n"] if title and form == "md" else []), render(table, form), sep="\n")
        return
    from rich import box
    from rich.table import Table

    drawn = Table(box=box.SIMPLE_HEAD, title=title, caption=caption, pad_edge=False)
    drawn.title_justify = drawn.caption_justify = "left"
    for name in _columns(table):
        heading = {"entrance": "entrance %", "mean": "mean %", "last": "last %"}.get(name, name).replace(": ", "\n")
        drawn.add_column(heading, justify="left" if name in left else "right", no_wrap=name not in wrap)
    for row in table:
        drawn.add_row(*(row[name] for name in _columns(table)))
    output().print(drawn)

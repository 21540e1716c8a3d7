"""The table of runs: one row each, on the terminal or as Markdown or CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from winnow.harness.common.console import Format, print_table
from winnow.harness.run.result import DifferenceResult, Result
from winnow.harness.score.paired_runs import BASELINE, baselines, drops, replays, settle
from winnow.harness.score.pooled import figures

Compared = Mapping[str, DifferenceResult]
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
    tasks = list(dict.fromkeys(name for result in results for name in figures(result)))
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
        asked += f" → {budget['achieved']:{'.1f' if budget['kind'] == 'tokens' else '.3g'}}"
    row = {"model": result["model"], "reducer": result["label"], "at": _place(result), "ratio": asked}
    for name in ("entrance", "mean", "last"):
        row[name] = f"{100 * shares[name]:.1f}" if shares else ""
    scored = figures(result)
    for name in tasks:
        row[name] = _figure(scored.get(name))
        row[f"Δ {name}"] = _plus_minus(drop.get(name), sign=True)
        row[f"Δ random {name}"] = _plus_minus(gain.get(name), sign=True)
    for profile in profiles:
        mine = cost if cost and cost["profile"] == profile else None
        row[f"TFLOPs ({profile})"] = f"{mine['tflops']:.3g}" if mine else ""
        row[f"FLOPs % ({profile})"] = f"{100 * mine['flops_share']:.1f}" if mine else ""
    row["KV MB"] = f"{cost['kv_bytes'] / 1e6:.3g}" if cost else ""
    row["n"] = str(result["documents"])
    row["run"] = result["id"] + (f" incomplete: {result['failed']} failed" if result["failed"] else "")
    return row


def _place(result: Result) -> str:
    return str(result["knobs"].get("schedule") or result["knobs"].get("llm.schedule") or "")


def _figure(task: Mapping[str, Any] | None) -> str:
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


def _plus_minus(value: Mapping[str, Any] | None, sign: bool = False) -> str:
    """Mean and half of the interval's width."""
    if value is None:
        return ""
    half = (value["high"] - value["low"]) / 2
    return f"{value['mean']:{'+' if sign else ''}.1f} ± {half:.1f}"


def show(results: Sequence[Result], folder: Path, form: Format = "rich") -> None:
    """Print the table of some results."""
    if not results:
        return
    settle(results, folder)
    table = rows(results, folder)
    names = list(dict.fromkeys(name for result in results for name in figures(result)))
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

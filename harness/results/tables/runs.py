"""The table of runs: one row each, on the terminal or in any other format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from winnow.harness.common.console import as_csv, print_table
from winnow.harness.common.console import render as as_text
from winnow.harness.results.tables import tidy
from winnow.harness.results.tables.folded import LEFT, keys_of, sheets_of
from winnow.harness.results.tables.matrix import by_method, differing, spread, with_differing
from winnow.harness.results.tables.sheet import html, latex
from winnow.harness.run.result import Result
from winnow.harness.score.paired_runs import settle
from winnow.harness.score.pooled import figures
from winnow.reducers.core.errors import WinnowError, choose

Form = Literal["rich", "md", "csv", "latex", "html"]
WIDEST = 4
"""So many tasks have columns of their own on the terminal."""
OF_TASKS = {name for name in tidy.COLUMNS[tidy.COLUMNS.index("task") : tidy.COLUMNS.index("entrance")] if name != "n"}
CAPTION = (
    "Shares of visual tokens and FLOPs are what really happened in the prefill, averaged over documents. Accuracy: all "
    "documents, 95 % interval. Δ: paired, against reducer=none; Δ random: against random dropping of as many tokens, "
    "sample by sample (reducer.like). FLOPs and KV cache are modelled, not measured: the LLM only, in the profile that "
    "the column names, 16-bit cache."
)


@dataclass(frozen=True)
class View:
    """Which part of a table is wanted, and how.

    Attributes
    ----------
    columns : sequence of str
        Of the printed table; empty: all.
    sort : str
        A column of `tidy.COLUMNS`, with a minus for falling order; empty: by model and method.
    where : sequence of str
        Conditions on these columns.
    pivot : bool
        One row for each method, one column for each task, and nothing else of it.
    """

    columns: Sequence[str] = ()
    sort: str = ""
    where: Sequence[str] = ()
    pivot: bool = False


def rows(results: Sequence[Result], folder: Path) -> list[dict[str, str]]:
    """One row per result: column -> text. Rows of a model stand together, the unreduced run first."""
    return _texts(tidy.compared(results, folder), _names(results), _profiles(results))


def _texts(
    found: Iterable[tuple[Result, tidy.Compared, tidy.Compared, str]], tasks: Sequence[str], profiles: Sequence[str]
) -> list[dict[str, str]]:
    return [_row(result, tasks, profiles, drop, gain) for result, drop, gain, _ in found]


def _names(results: Iterable[Result]) -> list[str]:
    return list(dict.fromkeys(name for result in results for name in figures(result)))


def _profiles(results: Iterable[Result]) -> list[str]:
    return list(dict.fromkeys(result["cost"]["profile"] for result in results if result["cost"]))


def _row(
    result: Result, tasks: Sequence[str], profiles: Sequence[str], drop: tidy.Compared, gain: tidy.Compared
) -> dict[str, str]:
    shares, cost, budget = result["shares"], result["cost"], result["budget"]
    asked = result["asked"]
    if budget and budget["achieved"] is not None:
        asked += f" → {budget['achieved']:{'.1f' if budget['kind'] == 'tokens' else '.3g'}}"
    row = {"model": result["model"], "reducer": result["label"], "at": tidy.place(result), "ratio": asked}
    for name in ("entrance", "mean", "last"):
        row[name] = f"{100 * shares[name]:.1f}" if shares else ""
    scored = figures(result)
    for name in tasks:
        row[name] = _figure(scored.get(name))
        row[f"Δ {name}"] = plus_minus(drop.get(name), sign=True)
        row[f"Δ random {name}"] = plus_minus(gain.get(name), sign=True)
    for profile in profiles:
        mine = cost if cost and cost["profile"] == profile else None
        row[f"TFLOPs ({profile})"] = f"{mine['tflops']:.3g}" if mine else ""
        row[f"FLOPs % ({profile})"] = f"{100 * mine['flops_share']:.1f}" if mine else ""
    row["KV MB"] = f"{cost['kv_bytes'] / 1e6:.3g}" if cost else ""
    row["n"] = str(result["documents"])
    row["run"] = result["id"] + (f" incomplete: {result['failed']} failed" if result["failed"] else "")
    return row


def _figure(task: Mapping[str, Any] | None) -> str:
    """A task's figure; a judge's where one has spoken; a file where labels are not public; Failed beyond the limit."""
    if task is None:
        return ""
    judged = task.get("judge")
    if judged:
        return f"{plus_minus(judged)} / {judged['score']:.2f}"
    if task["mean"] is None:
        return str(task.get("file", ""))
    unread = f" ({task['unparsed']} unread)" if task.get("unparsed") else ""
    failed = f" {task['verdict']}" if task.get("verdict") else ""
    return plus_minus(task) + unread + failed


def plus_minus(value: Mapping[str, Any] | None, sign: bool = False) -> str:
    """Mean and half of the interval's width."""
    if value is None:
        return ""
    half = (value["high"] - value["low"]) / 2
    return f"{value['mean']:{'+' if sign else ''}.1f} ± {half:.1f}"


def text(results: Sequence[Result], folder: Path, form: Literal["md", "latex", "html"]) -> str:
    """Write the whole table of some results."""
    settle(results, folder)
    found = [*tidy.compared(results, folder)]
    tasks = _names(results)
    before, table = _laid_out(found, _texts(found, tasks, _profiles(results)), tasks, form, View())
    return _written([*before, table], form, _caption(found))


def show(results: Sequence[Result], folder: Path, form: Form = "rich", view: View | None = None) -> None:
    """Print the table of some results; CSV holds numbers, one row a run and task."""
    if not results:
        return
    view = view or View()
    if form == "csv" and view.pivot:
        raise WinnowError("--pivot task is for people: --format csv has a row a run and task, say --format md")
    settle(results, folder)
    found = [*tidy.compared(results, folder)]
    if form == "csv":
        for name in view.columns:
            tidy.check_column("--columns", name)
        print(as_csv(_numbers(found, view), view.columns or tidy.COLUMNS))
        return
    chosen, tasks = found, _names(each[0] for each in found)
    numbers = _numbers(found, view) if view.where or view.sort or view.columns else []
    if view.where or view.sort:
        known = {each[0]["id"]: each for each in found}
        chosen = [known[run] for run in dict.fromkeys(row["run"] for row in numbers)]
        tasks = list(dict.fromkeys(row["task"] for row in numbers if row["task"] is not None))
    table = _texts(chosen, tasks, _profiles(each[0] for each in chosen))
    if view.columns and not view.pivot:
        whole = {each[0]["id"]: row for each, row in zip(chosen, table, strict=True)}
        _print([], _chosen(numbers, whole, view.columns), form, _caption(chosen))
        return
    before, table = _laid_out(chosen, table, tasks, form, view)
    _print(before, _only(table, view.columns), form, _caption(chosen))


def _laid_out(
    chosen: Sequence[tuple[Result, tidy.Compared, tidy.Compared, str]],
    table: list[dict[str, str]],
    tasks: Sequence[str],
    form: str,
    view: View,
) -> tuple[list[list[dict[str, str]]], list[dict[str, str]]]:
    """What stands before the table, and what is left of it then."""
    results = [each[0] for each in chosen]
    if view.pivot:
        return [], by_method(results, table, tasks)
    apart = spread(results, tasks)
    many = form == "rich" and (apart or len(tasks) > WIDEST)
    before = [by_method(results, table, tasks)] if many or apart else []
    before += [_by_task(with_differing(results, table), tasks, differing(results))] if many else []
    hidden = {f"{prefix}{name}" for prefix in ("", "Δ ", "Δ random ") for name in tasks} if many else set()
    rest = [{key: value for key, value in row.items() if key not in hidden} for row in table]
    return before, with_differing(results, rest)


def _numbers(found: Iterable[tuple[Result, tidy.Compared, tidy.Compared, str]], view: View) -> list[dict[str, Any]]:
    """The rows that are wanted, as numbers."""
    rows = tidy.kept([row for each in found for row in tidy.rows_of(*each)], view.where)
    return tidy.ordered(rows, view.sort) if view.sort else rows


def _print(before: Sequence[list[dict[str, str]]], table: list[dict[str, str]], form: Form, caption: str) -> None:
    if form == "rich":
        for more in before:
            print_table(more, form, left=LEFT, keys=keys_of(more))
        print_table(table, form, left=LEFT, caption=caption, keys=keys_of(table))
    else:
        print(_written([*before, table], form, caption))


def _written(tables: Sequence[list[dict[str, str]]], form: str, caption: str) -> str:
    if form == "md":
        return "\n".join(as_text(rows, "md") for rows in tables)
    titles = ("Accuracy by method and task", "Runs") if len(tables) > 1 else ("Runs",)
    sheets = [part for title, rows in zip(titles, tables, strict=True) for part in sheets_of(rows, title, form)]
    sheets[-1].below.append(caption)
    return "\n".join((latex if form == "latex" else html)(sheet) for sheet in sheets)


def _caption(found: Iterable[tuple[Result, tidy.Compared, tidy.Compared, str]]) -> str:
    return " ".join([CAPTION, *_reasons(why for *_, why in found)])


def _reasons(reasons: Iterable[str]) -> list[str]:
    """Say why no difference stands where one could."""
    return [f"No Δ of {count}: {why}." for why, count in Counter(filter(None, reasons)).items()]


def _chosen(
    numbers: Iterable[Mapping[str, Any]], whole: Mapping[str, dict[str, str]], columns: Sequence[str]
) -> list[dict[str, str]]:
    """Columns of the printed table and of `tidy.COLUMNS`: a row a run, or a run and task if a task's are asked for."""
    apart = not OF_TASKS.isdisjoint(columns)
    rows: dict[tuple[str, Any], dict[str, str]] = {}
    for number in numbers:
        said = {name: "" if value is None else str(value) for name, value in number.items()}
        both = {**said, **whole[number["run"]]} | ({"n": said["n"]} if apart else {})
        rows.setdefault((number["run"], number["task"] if apart else None), both)
    return _only([*rows.values()], columns)


def _only(table: list[dict[str, str]], columns: Sequence[str]) -> list[dict[str, str]]:
    for name in columns:
        if table and name not in table[0]:
            raise WinnowError(f"--columns {name}: the table has no such column, {choose(name, table[0])}")
    return [{name: row[name] for name in columns} for row in table] if columns else table


def _by_task(table: Sequence[dict[str, str]], names: Sequence[str], apart: Sequence[str]) -> list[dict[str, str]]:
    """One row per task and run, for sets of tasks that no screen is wide enough for."""
    return [
        {"task": name}
        | {key: row[key] for key in ("model", "reducer", "at", "ratio", *apart, "mean")}
        | {"figure": row[name], "Δ": row[f"Δ {name}"], "Δ random": row[f"Δ random {name}"], "run": row["run"]}
        for name in names
        for row in table
        if row[name]
    ]

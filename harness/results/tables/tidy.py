"""Runs as numbers: one row a run and task, for CSV, Parquet, and `winnow.load_runs`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from winnow.harness.common import files
from winnow.harness.common.console import as_csv
from winnow.harness.common.errors import first_line
from winnow.harness.common.run_files import IMPORTED
from winnow.harness.run.result import DifferenceResult, Result, results_below
from winnow.harness.score.paired_runs import BASELINE, Versus, baselines, drops, replays
from winnow.harness.score.pooled import figures
from winnow.reducers.core.errors import WinnowError, choose

if TYPE_CHECKING:
    import pandas as pd

Compared = Mapping[str, DifferenceResult]
COLUMNS = (
    *("run", "model", "reducer", "label", "at", "asked", "ratio", "task", "metric"),
    *("value", "low", "high", "n", "failed", "unread"),
    *("delta", "delta_low", "delta_high", "delta_p", "no_delta"),
    *("random_delta", "random_low", "random_high", "random_p"),
    *("entrance", "mean", "last", "profile", "tflops", "flops_share", "kv_bytes"),
    *("documents", "limit", "seed", "dtype", "attn", "status", "finished", "context", "imported"),
)
"""In this order; shares lie in 0 .. 1, figures and differences are points, `no_delta` says why there is none."""
WHOLE = ("n", "failed", "unread", "documents", "limit", "seed")
REAL = (
    *("ratio", "value", "low", "high", "delta", "delta_low", "delta_high", "delta_p"),
    *("random_delta", "random_low", "random_high", "random_p"),
    *("entrance", "mean", "last", "tflops", "flops_share", "kv_bytes"),
)
SHARES = dict.fromkeys(("ratio", "entrance", "mean", "last"), 1.0) | {"flops_share": 2.0}
"""What these are compared with is no more than this: a larger one was meant in %."""
OF_FIGURES = {"metric": "metric", "low": "low", "high": "high", "n": "documents", "unread": "unparsed"}
CONDITION = re.compile(r"(\w+)\s*(<=|>=|!=|=|<|>|~)\s*(.*)", re.DOTALL)
TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b, "!=": lambda a, b: a != b, "~": lambda a, b: str(b) in str(a),
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
}  # fmt: skip


def compared(results: Sequence[Result], folder: Path) -> Iterator[tuple[Result, Compared, Compared, str]]:
    """Each result with its differences to the unreduced run and to random dropping, and why there is none."""
    unreduced, random = baselines(results), replays(results)
    known = {(base["model"], *_tasks(base)) for base in unreduced.values()}
    for result in sorted(results, key=_order):
        base = unreduced.get(result["context"])
        drop, why = _differences(result, base, folder, "drop")
        gain, _ = _differences(result, random.get(result["id"]), folder, "gain")
        why = why or _why(result, base, (result["model"], *_tasks(result)) in known)
        yield result, drop, gain, "" if drop else why


def _differences(result: Result, other: Result | None, folder: Path, versus: Versus) -> tuple[Compared, str]:
    """The differences to another run, or why its scores cannot be compared."""
    try:
        return drops(result, other, folder, versus), ""
    except WinnowError as error:
        return {}, first_line(error)


def _why(result: Result, base: Result | None, elsewhere: bool) -> str:
    """Why nothing stands beside a run; empty for the unreduced one."""
    if result["reducer"] == BASELINE and base is not None and base["id"] == result["id"]:
        return ""
    if result["status"] != "complete":
        return "the run is incomplete"
    if base is None and elsewhere:
        return "the unreduced run has another limit, other documents, settings or versions"
    return "there is no unreduced run: reducer=none" if base is None else ""


def _tasks(result: Result) -> list[str]:
    return [task["task"] for task in result["tasks"]]


def _order(result: Result) -> tuple[Any, ...]:
    share = (result["shares"] or {}).get("mean", 0.0)
    reduced = result["reducer"] != BASELINE
    return (result["model"], _tasks(result), result["context"], reduced, result["label"], -share, result["id"])


def place(result: Result) -> str:
    """The layers where a run's method acted."""
    return str(result["knobs"].get("schedule") or result["knobs"].get("llm.schedule") or "")


def tidy(results: Sequence[Result], folder: Path) -> list[dict[str, Any]]:
    """Numbers of runs, one row for each run and figure, with the keys of `COLUMNS`."""
    return [row for found in compared(results, folder) for row in rows_of(*found)]


def rows_of(result: Result, drop: Compared, gain: Compared, why: str) -> Iterator[dict[str, Any]]:
    """The rows of one run, with what `compared` says of it."""
    shares, cost = result["shares"] or {}, result["cost"]
    run = {
        "run": result["id"], "label": result["label"], "at": place(result),
        "imported": result["id"].startswith(IMPORTED), "no_delta": why,
    }  # fmt: skip
    run |= {name: result.get(name) for name in COLUMNS if name in result and name not in run}
    run |= {name: shares.get(name) for name in ("entrance", "mean", "last")}
    run |= {name: cost[name] if cost else None for name in ("profile", "tflops", "flops_share", "kv_bytes")}
    nothing: dict[str, Any] = {"": {"mean": None}}
    for task, found in (figures(result) or nothing).items():
        row: dict[str, Any] = dict.fromkeys(COLUMNS) | run
        row |= {"task": task or None, "value": found["mean"], "failed": found.get("failed", result["failed"])}
        row |= {name: found.get(known) for name, known in OF_FIGURES.items()}
        row |= _difference("delta", drop.get(task), "delta")
        yield row | _difference("random", gain.get(task), "random_delta")


def _difference(prefix: str, found: DifferenceResult | None, mean: str) -> dict[str, Any]:
    return {mean: found["mean"], **{f"{prefix}_{k}": found[k] for k in ("low", "high", "p")}} if found else {}


def frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """The same as a pandas DataFrame: whole numbers as Int64, which may be missing, other numbers as float64."""
    import pandas as pd

    kinds = dict.fromkeys(WHOLE, "Int64") | dict.fromkeys(REAL, "float64")
    return pd.DataFrame([*rows], columns=[*COLUMNS]).astype(kinds)


def save(results: Sequence[Result], folder: Path, out: Path, where: Sequence[str] = (), sort: str = "") -> None:
    """Write `tidy` to a file, .csv or .parquet.

    Raises
    ------
    WinnowError
        For other names.
    """
    if out.suffix not in (".csv", ".parquet"):
        raise WinnowError(f"--out {out} is not allowed: choose a name that ends in .csv or .parquet")
    rows = kept(tidy(results, folder), where)
    rows = ordered(rows, sort) if sort else rows
    if out.suffix == ".csv":
        files.write_text(out, as_csv(rows, COLUMNS) + "\n")
    else:
        files.write(out, lambda draft: frame(rows).to_parquet(draft, index=False))


def load_runs(results: str | Path = "results/runs", outdated: bool = False) -> pd.DataFrame:
    """Load the finished and incomplete runs of a folder as numbers, one row a run and task.

    Parameters
    ----------
    results : str or Path
        Folder of the runs.
    outdated : bool
        Also runs that were run again since with other code, versions or data.

    Returns
    -------
    DataFrame
        Shares lie in 0 .. 1, figures and differences are points.

    Raises
    ------
    WinnowError
        Where there is no such folder.
    """
    folder = Path(results)
    if not folder.is_dir():
        raise WinnowError(f"results={results}: there is no such folder, name the one that holds the runs")
    return frame(tidy(results_below(folder, outdated), folder))


def kept(rows: Sequence[dict[str, Any]], conditions: Sequence[str]) -> list[dict[str, Any]]:
    """Choose rows by conditions such as ``reducer=fastv``, ``mean<0.5`` or ``label~rows``; all must hold.

    Raises
    ------
    WinnowError
        For what is no condition, and unknown columns.
    """
    for text in conditions:
        found = CONDITION.fullmatch(text)
        if found is None:
            raise WinnowError(f"--where '{text}' is no condition: say column=value, with = != < <= > >= or ~ (holds)")
        name, sign, wanted = found.groups()
        check_column("--where", name)
        compared_with = _wanted(name, sign, wanted)
        rows = [row for row in rows if _holds(row[name], sign, compared_with)]
    return [*rows]


def _wanted(name: str, sign: str, text: str) -> Any:
    """What a column is compared with: a number where it holds numbers, nothing, or text."""
    if sign in ("=", "!=") and text in ("", "null"):
        return None
    if sign == "~" or name not in (*WHOLE, *REAL):
        return {"true": "True", "false": "False"}.get(text.lower(), text) if name == "imported" else text
    try:
        number = float(text)
    except ValueError:
        raise WinnowError(
            f"--where '{name}{sign}{text}': {name} holds numbers, and {text or 'nothing'} is none"
        ) from None
    if abs(number) > SHARES.get(name, inf):
        raise WinnowError(
            f"--where '{name}{sign}{text}': {name} is a share from 0 to 1, say {name}{sign}{number / 100:g}"
        )
    return number


def _holds(value: Any, sign: str, wanted: Any) -> bool:
    if value is None or wanted is None:
        return sign in ("=", "!=") and (value is wanted) == (sign == "=")
    return TESTS[sign](float(value) if isinstance(wanted, float) else str(value), wanted)


def ordered(rows: Sequence[dict[str, Any]], by: str) -> list[dict[str, Any]]:
    """Sort rows by a column, falling if a minus stands before it; what is missing comes last."""
    name = by.removeprefix("-")
    check_column("--sort", name)
    there = [row for row in rows if row[name] is not None]
    there.sort(key=lambda row: row[name], reverse=by.startswith("-"))
    return [*there, *(row for row in rows if row[name] is None)]


def check_column(option: str, name: str) -> None:
    """Refuse a column that there is not."""
    if name not in COLUMNS:
        raise WinnowError(f"{option} {name}: there is no such column, {choose(name, COLUMNS)}")

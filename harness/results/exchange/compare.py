"""``winnow compare A B``: two runs, or the runs that two stores have in common, sample by sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from winnow.harness.common.errors import leave_out
from winnow.harness.common.find_run import find_run
from winnow.harness.common.run_files import RESULT
from winnow.harness.run.result import read_result, results_below
from winnow.harness.score.paired import Compared, compare
from winnow.harness.score.pooled import figures, members_of
from winnow.harness.score.stats import holm
from winnow.reducers.core.errors import WinnowError

LEVEL = 0.05


def pairs(first: str, second: str, results: Path) -> list[tuple[Path, Path]]:
    """Find what to compare.

    Parameters
    ----------
    first, second : str
        Two stores (folders that hold runs), or two runs (folders, ids or their beginnings).
    results : Path
        Where ids are looked for.

    Raises
    ------
    WinnowError
        If two stores share no settings, or a run is not found.
    """
    stores = [name for name in (first, second) if _is_store(name)]
    if len(stores) == 1:
        raise WinnowError(f"{stores[0]} is a folder of runs, and the other is not: compare two runs, or two folders")
    if stores:
        ours, theirs = (_by_settings(Path(name)) for name in (first, second))
        shared = [(ours[key], theirs[key]) for key in ours if key in theirs]
        if not shared:
            raise WinnowError(f"{first} and {second} hold no run of the same settings: compare two runs by their names")
        return shared
    one, other = (Path(name) if (Path(name) / RESULT).exists() else find_run(name, results) for name in (first, second))
    return [(one, other)]


def compared(first: str, second: str, results: Path) -> list[dict[str, str]]:
    """Compare what `pairs` finds.

    Raises
    ------
    WinnowError
        Also if there is no task that both sides scored.
    """
    found = rows(pairs(first, second, results))
    if not found:
        raise WinnowError(f"{first} and {second} share no task with scores: compare runs of the same tasks")
    return found


def _is_store(name: str) -> bool:
    return any(Path(name).glob("*/result.json"))


def _by_settings(folder: Path) -> dict[str, Path]:
    complete = (result for result in results_below(folder) if result["status"] == "complete")
    return {result["settings"]: folder / result["id"] for result in complete}


def rows(found: Sequence[tuple[Path, Path]]) -> list[dict[str, str]]:
    """One row per pair and task: both figures, agreement by sample, difference, and whether it is more than noise."""
    compared = [row for one, other in found for row in _readable(one, other, len(found) > 1)]
    adjusted = holm([gap.difference.p for _, gap in compared])
    return [_say(row, gap, p) for (row, gap), p in zip(compared, adjusted, strict=True)]


def _readable(one: Path, other: Path, many: bool) -> list[tuple[dict[str, str], Compared]]:
    """The rows of a pair; one of many that cannot be read is named and left out."""
    try:
        return [*_rows(one, other)]
    except WinnowError as error:
        if not many:
            raise
        leave_out(error)
        return []


def _rows(one: Path, other: Path) -> Iterator[tuple[dict[str, str], Compared]]:
    ours, theirs = read_result(one), read_result(other)
    there = figures(theirs)
    for name, here in figures(ours).items():
        if name in there and None not in (here["mean"], there[name]["mean"]):
            gap = compare(one, other, ours, members_of(name))
            label = ours["label"] if ours["label"] == theirs["label"] else f"{ours['label']} | {theirs['label']}"
            row = {"model": ours["model"], "method": f"{label} {ours['asked']}".strip(), "task": name}
            yield row | {"A": f"{here['mean']:.1f}", "B": f"{there[name]['mean']:.1f}"}, gap


def _say(row: dict[str, str], gap: Compared, p: float) -> dict[str, str]:
    found = gap.difference
    noise = "differ" if p < LEVEL else "within noise"
    return row | {
        "A - B": f"{found.mean:+.1f} [{found.low:+.1f}, {found.high:+.1f}]",
        "p (Holm)": f"{p:.3g}",
        "agree %": f"{100 * gap.agree:.1f}",
        "n": str(gap.samples),
        "videos": str(gap.videos),
        "verdict": "identical" if gap.agree == 1 else noise,
    }

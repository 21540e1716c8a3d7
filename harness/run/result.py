"""Reads the results of runs, of one or of all below a folder; a damaged one stops no command over others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from winnow.harness.common.errors import leave_out
from winnow.harness.common.owner import tell_owner
from winnow.harness.common.result import (
    ComparisonResult,
    CostResult,
    DifferenceResult,
    FigureResult,
    JudgeResult,
    ReaderResult,
    Result,
    TaskResult,
)
from winnow.harness.common.result import load as read_result
from winnow.harness.common.run_files import IMPORTED, RESULT
from winnow.reducers.core.errors import WinnowError

__all__ = [
    "ComparisonResult",
    "CostResult",
    "DifferenceResult",
    "FigureResult",
    "JudgeResult",
    "ReaderResult",
    "Result",
    "TaskResult",
    "newest",
    "read_result",
    "results_below",
    "results_of",
]


def results_of(folder: Path, runs: Iterable[str]) -> list[Result]:
    """Read the results of some runs, of those that have one."""
    return _readable(folder / run for run in runs)


def _readable(folders: Iterable[Path]) -> list[Result]:
    """Read the results that are there; a damaged one is named and left out, so that it stops no command over others."""
    found = []
    for folder in folders:
        try:
            result = read_result(folder)
            if result["id"] != folder.name:
                raise WinnowError(f"{folder / RESULT} is the result of another run, {result['id'][:40]!r}")
            found.append(result)
        except (FileNotFoundError, NotADirectoryError):  # no run, or one without a result yet
            continue
        except (WinnowError, OSError) as error:
            leave_out(error)
    return found


def results_below(folder: Path, outdated: bool = False) -> list[Result]:
    """Read the results of all runs below a folder, finished and incomplete, the oldest first.

    Parameters
    ----------
    folder : Path
    outdated : bool
        Also those that `newest` leaves out.
    """
    tell_owner(folder)
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    results = _readable(folder / name for name in names)
    found = sorted(results, key=lambda result: (not _foreign(result), result["finished"], result["id"]))
    return found if outdated else newest(found)


def newest(results: Iterable[Result]) -> list[Result]:
    """Leave out runs that were run again since, with the same settings but other code, versions or data."""
    found = [*results]
    last = {(result["settings"], _foreign(result)): result["id"] for result in found}
    return [result for result in found if last[result["settings"], _foreign(result)] == result["id"]]


def _foreign(result: Result) -> bool:
    """Whether somebody else computed it; such a result comes first, so that one computed here stands for a cell."""
    return result["id"].startswith(IMPORTED)

"""Sweeps on one of Hydra's launchers (submitit, joblib): each cell is a job of its own, which loads the model anew."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from harness.config.cell import Cell
from harness.config.method import build_method
from harness.errors import first_line
from harness.exits import INCOMPLETE, RunFailedError
from harness.run.store import results_of, runs_of
from harness.tables.runs import show
from reducers.errors import WinnowError


def launch(launcher: Any, jobs: Sequence[list[str]], cells: Sequence[Sequence[Cell]]) -> list[Any]:
    """Send the jobs that have cells to run, wait for them, and print the rows of all.

    A cell that several jobs hold, as ``reducer=none`` with several ratios, is run by the first.

    Parameters
    ----------
    launcher : hydra.plugins.launcher.Launcher
    jobs : sequence of list of str
        The overrides of each job.
    cells : sequence of sequence of Cell
        The cells of each job.

    Raises
    ------
    WinnowError
        For mistakes that show when a method is made for its model; nothing is sent then.
    RunFailedError
        If a job did not complete its cells, or the launcher lost it; the others are not affected.
    """
    runs = runs_of([*chain(*cells)])
    open_ = {run.id for run in runs if run.cell.force or not run.done}
    for run in runs:
        if run.id in open_:
            build_method(run.cell)
    sent = []
    for words, own in zip(jobs, cells, strict=True):
        first = open_ & {run.id for run in runs_of(own)}
        open_ -= first
        if first:
            sent.append(words)
    try:
        return [job.return_value for job in launcher.launch(sent, initial_job_idx=0)] if sent else []
    except WinnowError:  # also what a job raised
        raise
    except Exception as error:
        raise RunFailedError(
            f"the launcher says: {first_line(error)}; what was answered is kept", INCOMPLETE
        ) from error
    finally:
        show(results_of(runs[0].cell.results, [run.id for run in runs]), runs[0].cell.results)

"""Sweeps on one of Hydra's launchers (submitit, joblib): each cell is a job of its own, which loads the model anew."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig

from winnow.harness.common.errors import first_line
from winnow.harness.common.exits import INCOMPLETE, OK, RunFailedError
from winnow.harness.config.cell import Cell
from winnow.harness.config.expand import Expanded, Job
from winnow.harness.config.hydra_api import hydra
from winnow.harness.plan.build import build_method
from winnow.harness.plan.weights import check_weights
from winnow.harness.results.tables.runs import show
from winnow.harness.run.result import results_of
from winnow.harness.run.store import runs_of
from winnow.harness.sweep.cells import job_cells
from winnow.reducers.core.errors import WinnowError


def launch(asked: Expanded) -> int:
    """Run a sweep by the launcher that it names; return the exit code.

    Raises
    ------
    WinnowError, RunFailedError
        As `send`.
    """
    with hydra() as loader:
        context = HydraContext(config_loader=loader, callbacks=Callbacks(asked.config))
        launcher = Plugins.instance().instantiate_launcher(
            hydra_context=context, task_function=task, config=asked.config
        )
        send(launcher, [job.words for job in asked.jobs], [job_cells(job) for job in asked.jobs])
    return OK


def task(config: DictConfig) -> None:
    """Run one job's cells where the launcher put it.

    Raises
    ------
    RunFailedError
        If they were not completed.
    """
    from winnow.harness.sweep.in_process import run

    hydra_config = HydraConfig.get()
    job = Job([*hydra_config.overrides.task], config, hydra_config.runtime.choices)
    code = run(job_cells(job))
    if code:
        raise RunFailedError(f"a run with reducer={job.choices['reducer']} did not complete", code)


def send(launcher: Launcher, jobs: Sequence[list[str]], cells: Sequence[Sequence[Cell]]) -> list[Any]:
    """Send the jobs that have cells to run, wait for them, and print the rows of all.

    A cell that several jobs hold, as ``reducer=none`` with several ratios, is run by the first.

    Parameters
    ----------
    launcher : Launcher
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
    check_weights(run.cell for run in runs if run.id in open_)
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

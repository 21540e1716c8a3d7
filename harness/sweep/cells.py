"""The cells that a command line asks for: one, a sweep's, a table's, or the controls of a table's finished runs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from omegaconf import DictConfig

from winnow.harness.common.run_files import IMPORTED
from winnow.harness.config.cell import Cell
from winnow.harness.config.compose import Settings, cell_at, compose
from winnow.harness.config.expand import Expanded, Job
from winnow.harness.config.hydra_api import hydra
from winnow.harness.config.preset_cells import UNCONTROLLED, Planned, composed, planned_by
from winnow.harness.config.preset_runs import merge
from winnow.harness.plan.identity import settings_of
from winnow.harness.run.result import results_below
from winnow.reducers.core.errors import WinnowError

Known = dict[tuple[int, tuple[str, ...]], Settings]


def cells_of(asked: Expanded, left: list[tuple[str, str]] | None = None) -> list[Cell]:
    """The cells of all jobs, in order.

    Parameters
    ----------
    asked : Expanded
    left : list or None
        Takes what of several jobs cannot be a cell, and why, instead of an error.

    Raises
    ------
    WinnowError
        For mistakes in the input.
    """
    known = Known()
    with hydra():
        if left is None or len(asked.jobs) < 2:
            return [*chain.from_iterable(job_cells(job, known) for job in asked.jobs)]
        return [*chain.from_iterable(_possible(job, known, left) for job in asked.jobs)]


def _possible(job: Job, known: Known, left: list[tuple[str, str]]) -> list[Cell]:
    try:
        with hydra():  # turns the errors of setting values into ours
            return job_cells(job, known)
    except WinnowError as error:
        left.append((" ".join(job.words), str(error)))
        return []


def job_cells(job: Job, known: Known | None = None) -> list[Cell]:
    """The one cell of a job, or those of its table; jobs that differ in numbers alone share their settings."""
    if not job.base.table:
        return [cell_at(job, {} if known is None else known)]
    found = planned_by(job.config, str(job.choices["experiment"]), job.words)
    return controls(found) if found and job.config.controls else [each.cell for each in found]


def controls(found: Sequence[Planned]) -> list[Cell]:
    """Replay each finished run at random: as many tokens, sample by sample and layer by layer.

    Raises
    ------
    WinnowError
        If none of the runs is finished.
    """
    cells = {settings_of(each.cell): each for each in found if each.reducer not in UNCONTROLLED}
    folder = next(iter(cells.values())).cell.results if cells else None
    own = [r for r in results_below(folder) if not r["id"].startswith(IMPORTED)] if folder else []
    done = [r for r in own if r["settings"] in cells and r["status"] == "complete"]
    if not done:
        raise WinnowError("controls=true replays finished runs, and there are none yet: run the same without it first")
    with hydra():
        return [compose(_replay(cells[result["settings"]], result["id"]), "random") for result in done]


def _replay(each: Planned, run: str) -> DictConfig:
    kept = ("model", "limit=", "seed=", "batch_size=", "share", "tracker", "downsample.", "results=", "force=")
    config = composed(merge([word for word in each.part.words if word.startswith(kept)] + ["reducer=random"])).copy()
    config.tasks, config.reducer.like = each.config.tasks, run
    return config

"""``winnow plan``: from overrides to a manifest, without loading a model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from winnow.harness.config.cell import Cell
from winnow.harness.config.expand import expand
from winnow.harness.config.label import label
from winnow.harness.plan.build import Built, build_method
from winnow.harness.plan.weights import check_weights
from winnow.harness.run.store import runs_of
from winnow.harness.sweep.cells import cells_of
from winnow.harness.sweep.estimate import basis, estimate, look_back
from winnow.harness.sweep.manifest import NAME, Manifest, SweepCell, name_of
from winnow.reducers.core.errors import WinnowError


def plan(overrides: Sequence[str], out: Path | None = None, dry: bool = False) -> Manifest:
    """Expand overrides as `run.py -m` does, drop the finished cells, group the rest, and estimate their time.

    Parameters
    ----------
    overrides : sequence of str
        As run.py takes them.
    out : Path or None
        Where the manifest will be; by default ``<results>/sweeps/<name>/manifest.json``. It is not written here.
    dry : bool
        The plan is only looked at, so that the documents, by which runs are named, need not be here.

    Raises
    ------
    WinnowError
        For mistakes in the input, also those that show only when a method is made for its model, unless others of the
        sweep can run: the manifest then says what was left out.
    """
    left: list[tuple[str, str]] = []
    return plan_cells(cells_of(expand(overrides), left), out, dry, left)


def plan_cells(cells: Sequence[Cell], out: Path | None, dry: bool, left: list[tuple[str, str]]) -> Manifest:
    """Plan cells that are composed already; `left` says what else was asked for and why it cannot run."""
    runs = runs_of(cells, fetch=False)
    if not runs and left:
        raise WinnowError(left[0][1])
    folders = {run.cell.results for run in runs}
    if len(folders) != 1:
        raise WinnowError(f"results has {len(folders)} values in one sweep: give one folder")
    if any(run.cell.force for run in runs):
        raise WinnowError("force=true is not for a plan: `winnow retry --all` forgets what is finished")
    if not dry and (unknown := next((run for run in runs if not run.identity.known), None)):
        names = " ".join(unknown.cell.tasks.tasks)
        raise WinnowError(f"the questions of {names} are not on this machine: `winnow data fetch {names}`, then plan")
    if not dry:
        check_weights(run.cell for run in runs if not run.done)
    (results,) = folders
    results = results.resolve()
    past = look_back(results)
    groups: dict[str, list[SweepCell]] = {}
    sources, every = [], {}
    for run in runs:
        words = label(run.cell) + (f" {run.cell.asked}" if run.cell.asked else "")
        try:
            built = build_method(run.cell)
        except WinnowError as error:
            if len(runs) == 1:
                raise
            left.append((f"{run.cell.model.name} {words}", str(error)))
            continue
        if not run.done:
            seconds, documents, source = estimate(run.cell, run.identity.settings, built, past)
            sources.append(source)
            every[run.id] = built
            made = run.identity.score, run.identity.report
            groups.setdefault(run.cell.group, []).append(
                SweepCell(run.id, words, seconds, documents, run.cell, *made, _kept(built))
            )
    path = out or results / "sweeps" / name_of([run.id for run in runs]) / NAME
    stored = [run.id for run in runs if run.done]
    if left and not groups and not stored:
        raise WinnowError(left[0][1])
    return Manifest(path.resolve(), results, list(groups.values()), stored, basis(sources), left, every)


def _kept(built: Built) -> str:
    solved = f"ratio {built.ratio:.4g} (planned {built.planned:.4g}), " if built.planned and built.ratio else ""
    return f"{solved}{built.kept}"

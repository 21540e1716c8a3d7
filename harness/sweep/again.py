"""``winnow rescore``, ``winnow recost``, ``winnow why``: finished runs held against the code and data of today."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

from winnow.harness.common.errors import first_line
from winnow.harness.common.find_run import find_run
from winnow.harness.common.finished import finished, outdated
from winnow.harness.common.run_files import CONFIG, IMPORTED
from winnow.harness.config.cell import Cell
from winnow.harness.config.overrides import cell_from
from winnow.harness.config.stored import stored_cell, stored_config
from winnow.harness.plan.difference import why
from winnow.harness.plan.identity import identify
from winnow.harness.run.store import Run, runs_of
from winnow.harness.sweep.in_process import run
from winnow.reducers.core.errors import WinnowError

Layer = Literal["score", "report"]
T = TypeVar("T")
U = TypeVar("U")


def again(names: Sequence[str], results: Path, layer: Layer, trust: bool = False) -> int:
    """Score and report finished runs anew from their stored answers, without a model; return the exit code.

    Parameters
    ----------
    names : sequence of str
        The runs; if there are none, all whose layer was made by other code or labels.
    results : Path
        Where they lie.
    layer : {"score", "report"}
    trust : bool
        Whether code may be executed that runs name and Winnow does not register.

    Raises
    ------
    WinnowError
        If a run's answers are not those that its command would give today.
    """
    wanted = _named(names, results, trust) if names else _outdated(results, layer, trust)
    for found in wanted:
        found.reopen(f"asked for a new {layer}")
    return run([found.cell for found in wanted]) if wanted else 0


def _named(names: Sequence[str], results: Path, trust: bool) -> list[Run]:
    """Runs that are asked for, whose answers have to be those of today."""
    folders = [find_run(name, results, finished=True) for name in names]
    if strange := [folder.name for folder in folders if folder.name.startswith(IMPORTED)]:
        raise WinnowError(f"run {strange[0]} is imported: its answers were not given here; `winnow rerun` repeats them")
    cells = {folder.name: _cell(folder, trust) for folder in folders}
    found = runs_of([*cells.values()])
    if strange := sorted(cells.keys() - {run.id for run in found}):
        raise WinnowError(f"run {strange[0]} has answers of other code or data: `winnow why {strange[0]}`")
    return found


def _outdated(results: Path, layer: Layer, trust: bool) -> list[Run]:
    """Finished runs with the answers of today, whose layer is of other code or labels; what cannot be read is named."""
    every = [path.parent for path in sorted(results.glob(f"*/{CONFIG}"))]
    folders = [folder for folder in every if not folder.name.startswith(IMPORTED) and finished(folder)]
    cells = [cell for folder in folders for cell in _readable([folder], lambda found: [_cell(found[0], trust)])]
    names, runs = {folder.name for folder in folders}, _readable(cells, runs_of)
    return [
        run
        for run in runs
        if run.id in names and layer in outdated(run.folder, run.identity.score, run.identity.report)
    ]


def _readable(given: Sequence[T], read: Callable[[Sequence[T]], list[U]]) -> list[U]:
    """What is read from all; where that fails, from each, so that one stops no other."""
    try:
        return read(given)
    except (WinnowError, OSError) as error:
        if len(given) == 1:
            print(f"left out: {first_line(error)}", file=sys.stderr)
            return []
        return [one for each in given for one in _readable([each], read)]


def _inputs(folder: Path) -> dict[str, Any]:
    """What a run was named by."""
    inputs: dict[str, Any] = stored_config(folder)["inputs"]
    if "answers" not in inputs:
        raise WinnowError(f"{folder / CONFIG} is of an older version of Winnow: run the cell again")
    return inputs


def _cell(folder: Path, trust: bool) -> Cell:
    _inputs(folder)
    return replace(stored_cell(folder, trust), force=False, results=folder.parent)


def explain(name: str, others: Sequence[str], results: Path, trust: bool = False) -> list[str]:
    """Say what differs between a run and another one, a command, or the same command given today.

    Parameters
    ----------
    name : str
        The run.
    others : sequence of str
        Another run, or overrides as run.py takes them; nothing: the run's own settings, as they are today.
    results : Path
    trust : bool
        As for `again`.
    """
    folder = find_run(name, results)
    theirs = _inputs(folder)
    if len(others) == 1 and "=" not in others[0]:
        other = _inputs(find_run(others[0], results))
    else:
        other = identify(cell_from(others) if others else _cell(folder, trust)).inputs
    return why(theirs, other)

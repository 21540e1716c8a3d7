"""The manifest of a sweep: its cells in groups that share model and documents, in a file that any machine can read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Required, TypedDict

from winnow.harness.common import files
from winnow.harness.common.owner import tell_owner
from winnow.harness.common.plain import visible
from winnow.harness.common.sources import digest
from winnow.harness.common.typed import misfit
from winnow.harness.config.cell import Cell, from_plain
from winnow.harness.plan.build import Built
from winnow.reducers.core.errors import WinnowError

FORMAT = 1
_ID = re.compile("[0-9a-f]{12}")
NAME, LOGS, CANCEL, JOBS = "manifest.json", "logs", "CANCEL", "jobs.json"


class _Planned(TypedDict, total=False):
    """A cell's entry in the file: what it must be for a cell to be made of it."""

    id: Required[str]
    label: Required[str]
    seconds: float | None
    documents: int | None
    score: str
    report: str
    kept: str


@dataclass(frozen=True)
class SweepCell:
    """One cell of a sweep.

    Attributes
    ----------
    id : str
        The id of its run when it was planned; a worker that finds another leaves the cell to others.
    label : str
        How tables call it.
    seconds : float or None
        How long it should take one worker.
    documents : int or None
        How many documents it has, as far as that is known.
    cell : Cell
    score, report : str
        By what it is to be scored and reported: `Identity.score` and `Identity.report` when it was planned.
    kept : str
        Which visual tokens the layers are planned to see, and the ratio that a budget was solved to.
    """

    id: str
    label: str
    seconds: float | None
    documents: int | None
    cell: Cell
    score: str = ""
    report: str = ""
    kept: str = ""

    @property
    def marks(self) -> tuple[str, str, str]:
        """What a worker must find the same to take the cell."""
        return self.id, self.score, self.report


@dataclass(frozen=True)
class Manifest:
    """A sweep.

    Attributes
    ----------
    path : Path
        Its file; logs and the records of its jobs lie beside it.
    results : Path
        The folder of the runs.
    groups : list of list of SweepCell
        What is to be run; a group shares model, documents and batches.
    stored : list of str
        Runs of the sweep that were finished when it was planned.
    basis : str
        What the times were estimated from.
    left : list of (str, str)
        What of the sweep cannot run, and why; known when it is planned.
    built : dict
        By id what was built of the cells; known when they are planned.
    """

    path: Path
    results: Path
    groups: list[list[SweepCell]]
    stored: list[str] = field(default_factory=list)
    basis: str = ""
    left: list[tuple[str, str]] = field(default_factory=list)
    built: dict[str, Built] = field(default_factory=dict, compare=False, repr=False)

    def cells(self) -> Iterator[SweepCell]:
        """All cells to be run."""
        for group in self.groups:
            yield from group

    @property
    def logs(self) -> Path:
        """What the workers print."""
        return self.path.parent / LOGS

    @property
    def cancel(self) -> Path:
        """As long as this file exists, workers stop."""
        return self.path.parent / CANCEL

    def cancelled(self) -> str:
        """A reason to stop; empty: go on."""
        return "the sweep was cancelled" if self.cancel.exists() else ""

    def save(self) -> None:
        """Write the file; what the cells of a group share is written once."""
        groups = [_pack(group) for group in self.groups]
        head = {"format": FORMAT, "results": str(self.results), "basis": self.basis, "stored": self.stored}
        files.write_text(self.path, json.dumps(head | {"groups": groups}) + "\n")


def name_of(ids: Sequence[str]) -> str:
    """Name a sweep by its cells."""
    return digest(tuple(sorted(ids)))[:12]


def load(path: Path) -> Manifest:
    """Read a manifest, given as its file or the folder that holds it.

    Raises
    ------
    WinnowError
        If there is none, or if it is damaged or of another version.
    """
    path = path / NAME if path.is_dir() else path
    if not path.is_file():
        raise WinnowError(f"there is no manifest {path}: make one with `winnow plan`")
    tell_owner(path)
    read = files.read_json(path)
    if not isinstance(read, dict) or read.get("format") != FORMAT:
        raise WinnowError(f"{path} is no manifest of this version of Winnow: make it again with `winnow plan`")
    try:
        results = Path(read["results"])
        results.exists()  # or it is no name
        tell_owner(results)
        groups = [_unpack(group, results) for group in read["groups"]]
        stored = [str(name) for name in read["stored"]]
        wrong = next(
            (name for name in [*(one.id for g in groups for one in g), *stored] if not _ID.fullmatch(name)), None
        )
        if wrong is not None:
            raise WinnowError(f"{path} is damaged: {wrong[:40]!r} is no id of a run: make it again with `winnow plan`")
        return Manifest(path, results, groups, stored, visible(str(read["basis"])))
    except (KeyError, TypeError, AttributeError, ValueError, OSError) as error:
        raise WinnowError(f"{path} is damaged ({error}): make it again with `winnow plan`") from error


def _pack(group: Sequence[SweepCell]) -> dict[str, Any]:
    plain = [planned.cell.plain() | {"results": None} for planned in group]
    shared = {key: value for key, value in plain[0].items() if all(cell[key] == value for cell in plain)}
    cells = [
        {name: value for name, value in vars(one).items() if name != "cell"}
        | {"cell": {key: value for key, value in cell.items() if key not in shared}}
        for one, cell in zip(group, plain, strict=True)
    ]
    return {"shared": shared, "cells": cells}


def _unpack(group: dict[str, Any], results: Path) -> list[SweepCell]:
    shared = group["shared"] | {"results": results}
    return [_cell(one, shared | one["cell"]) for one in group["cells"]]


def _cell(one: dict[str, Any], cell: dict[str, Any]) -> SweepCell:
    if wrong := misfit(one, _Planned):
        raise TypeError(wrong)
    words: dict[str, Any] = {name: visible(one[name]) for name in ("label", "kept") if name in one}
    return SweepCell(**one | words | {"cell": from_plain(cell)})

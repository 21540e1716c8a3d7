"""The manifest of a sweep: its cells in groups that share model and documents, in a file that any machine can read."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.common.sources import digest
from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import (
    BudgetConfig,
    DownsampleConfig,
    MediaConfig,
    ModelConfig,
    NominalConfig,
    TasksConfig,
)
from winnow.reducers.core.errors import WinnowError

FORMAT = 1
NAME, LOGS, CANCEL, JOBS = "manifest.json", "logs", "CANCEL", "jobs.json"


@dataclass(frozen=True)
class Planned:
    """One cell of a sweep.

    Attributes
    ----------
    id : str
        The id of its run when it was planned; a worker refuses the cell if code or data changed since.
    label : str
        How tables call it.
    seconds : float or None
        How long it should take one worker.
    documents : int or None
        How many documents it has, as far as that is known.
    cell : Cell
    """

    id: str
    label: str
    seconds: float | None
    documents: int | None
    cell: Cell


@dataclass(frozen=True)
class Manifest:
    """A sweep.

    Attributes
    ----------
    path : Path
        Its file; logs and the records of its jobs lie beside it.
    results : Path
        The folder of the runs.
    groups : list of list of Planned
        What is to be run; a group shares model, documents and batches.
    stored : list of str
        Runs of the sweep that were finished when it was planned.
    basis : str
        What the times were estimated from.
    """

    path: Path
    results: Path
    groups: list[list[Planned]]
    stored: list[str] = field(default_factory=list)
    basis: str = ""

    def cells(self) -> Iterator[Planned]:
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
    read = files.read_json(path)
    if not isinstance(read, dict) or read.get("format") != FORMAT:
        raise WinnowError(f"{path} is no manifest of this version of Winnow: make it again with `winnow plan`")
    results = Path(read["results"])
    return Manifest(path, results, [_unpack(group, results) for group in read["groups"]], read["stored"], read["basis"])


def _pack(group: Sequence[Planned]) -> dict[str, Any]:
    plain = [asdict(planned.cell) | {"results": None} for planned in group]
    shared = {key: value for key, value in plain[0].items() if all(cell[key] == value for cell in plain)}
    cells = [
        {"id": one.id, "label": one.label, "seconds": one.seconds, "documents": one.documents}
        | {"cell": {key: value for key, value in cell.items() if key not in shared}}
        for one, cell in zip(group, plain, strict=True)
    ]
    return {"shared": shared, "cells": cells}


def _unpack(group: dict[str, Any], results: Path) -> list[Planned]:
    return [Planned(**one | {"cell": _cell(group["shared"] | one["cell"], results)}) for one in group["cells"]]


def _cell(plain: dict[str, Any], results: Path) -> Cell:
    model = ModelConfig(**plain["model"] | {"nominal": NominalConfig(**plain["model"]["nominal"])})
    made = {
        "model": model,
        "method": _method(plain["method"]),
        "tasks": TasksConfig(**plain["tasks"]),
        "budget": BudgetConfig(**plain["budget"]),
        "downsample": DownsampleConfig(**plain["downsample"]),
        "media": MediaConfig(**plain["media"]),
        "results": results,
    }
    return Cell(**plain | made)


def _method(plain: dict[str, Any]) -> Method:
    return Method(**plain | {"parts": tuple(_method(part) for part in plain["parts"])})

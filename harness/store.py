"""The folder of a run: what is in it, and when it counts as finished."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from harness import files, journal
from harness.cell import Cell
from harness.identity import Identity, identify
from harness.record import Row

DONE, RESULT, CONFIG, JOURNAL = "DONE", "result.json", "config.yaml", "journal"


class Run:
    """One run on disk; ``<results>/<id>/``.

    Parameters
    ----------
    cell : Cell
    """

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.identity: Identity = identify(cell)
        self.id = self.identity.run
        self.folder = cell.results / self.id

    @property
    def done(self) -> bool:
        """Whether every document was answered and scored; DONE is written last."""
        return (self.folder / DONE).exists() and (self.folder / RESULT).exists()

    def result(self) -> dict[str, Any]:
        """What was measured."""
        found: dict[str, Any] = files.read_json(self.folder / RESULT)
        return found

    def open(self, environment: dict[str, Any]) -> None:
        """Make the folder and note what the run is, and where it runs."""
        config = {"id": self.id, "inputs": self.identity.inputs, "cell": _plain(self.cell)}
        files.write_text(self.folder / CONFIG, yaml.safe_dump(_safe(config), sort_keys=False, allow_unicode=True))
        files.write_json(self.folder / "env.json", environment)

    def rows(self) -> dict[tuple[str, int], Row]:
        """What has been answered so far."""
        return journal.read(self.folder / JOURNAL)

    def journal(self) -> journal.Journal:
        """A segment of this worker's own to append to."""
        return journal.Journal(self.folder / JOURNAL)

    def reset(self) -> None:
        """Forget everything, for ``force=true``; DONE goes first."""
        (self.folder / DONE).unlink(missing_ok=True)
        shutil.rmtree(self.folder / JOURNAL, ignore_errors=True)
        (self.folder / RESULT).unlink(missing_ok=True)

    def finish(self) -> None:
        """Mark the run as finished; the samples now hold what the journal held."""
        files.write_text(self.folder / DONE, "")
        shutil.rmtree(self.folder / JOURNAL, ignore_errors=True)


def _plain(cell: Cell) -> dict[str, Any]:
    return asdict(cell) | {"results": str(cell.results)}


def _safe(value: Any) -> Any:
    """Turn tuples into lists, which is all that YAML knows."""
    if isinstance(value, dict):
        return {key: _safe(item) for key, item in value.items()}
    return [_safe(item) for item in value] if isinstance(value, list | tuple) else value


def results_below(folder: Path, outdated: bool = False) -> list[dict[str, Any]]:
    """Read the results of all runs below a folder, finished and incomplete.

    Parameters
    ----------
    folder : Path
    outdated : bool
        Also those that were run again since, with the same settings but other code, versions or data.
    """
    results = (files.read_json(path) for path in folder.glob(f"*/{RESULT}"))
    found = sorted(results, key=lambda result: (result["finished"], result["id"]))
    newest = {result["settings"]: result["id"] for result in found}
    return [result for result in found if outdated or newest[result["settings"]] == result["id"]]

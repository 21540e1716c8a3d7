"""The folder of a run: what is in it, and when it counts as finished."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.common.finished import damage, finished, outdated, seal
from winnow.harness.common.run_files import CONFIG, DONE, ENV, FAILED, JOURNAL, RESULT, TRACES
from winnow.harness.common.yaml_text import dump as dump_yaml
from winnow.harness.config.cell import Cell
from winnow.harness.plan.identity import Identity, identify, identify_all
from winnow.harness.run import journal, traces
from winnow.harness.run.record import Row
from winnow.harness.run.result import Result, read_result


class Run:
    """One run on disk; ``<results>/<id>/``.

    Parameters
    ----------
    cell : Cell
    identity : Identity or None
        Its identity, if it is known.
    """

    def __init__(self, cell: Cell, identity: Identity | None = None) -> None:
        self.cell = cell
        self.identity = identity or identify(cell)
        self.id = self.identity.run
        self.folder = cell.results / self.id

    @property
    def done(self) -> bool:
        """Whether every document is answered, scored and reported by the code and labels of today."""
        return finished(self.folder, self.identity.score, self.identity.report)

    def result(self) -> Result:
        """What was measured."""
        return read_result(self.folder)

    def open(self, environment: dict[str, Any]) -> None:
        """Make the folder and note what the run is, and where it runs; a finished run is opened again."""
        if (self.folder / DONE).exists():
            self.reopen()
        head = {"id": self.id, "line": self.identity.line, "settings": self.identity.settings}
        config = head | {"inputs": self.identity.inputs, "cell": self.cell.plain()}
        listed = json.loads(json.dumps(config))  # YAML knows no tuples
        files.write_text(self.folder / CONFIG, dump_yaml(listed))
        files.write_json(self.folder / ENV, environment)

    def reopen(self, why: str = "") -> None:
        """Bring the answers of a finished run back into its journal, as far as they are whole; DONE goes after that."""
        bad = damage(self.folder)
        stale = outdated(self.folder, self.identity.score, self.identity.report)
        rows = iter(()) if DONE in bad or TRACES in bad else traces.read(self.folder / TRACES)
        kept = self.journal().append(rows)
        why = f"{bad[0]} is damaged" if bad else why or f"other code or labels made its {' and '.join(stale)}"
        print(f"run {self.id}: {why}: computed again from {len(kept)} stored answers", file=sys.stderr)
        forget(self.folder)

    def rows(self) -> dict[tuple[str, int], Row]:
        """What has been answered so far."""
        return journal.read(self.folder / JOURNAL)

    def journal(self) -> journal.Journal:
        """A segment of this worker's own to append to."""
        return journal.Journal(self.folder / JOURNAL)

    def reset(self) -> None:
        """Forget everything, for ``force=true``; DONE goes first."""
        forget(self.folder)
        shutil.rmtree(self.folder / JOURNAL, ignore_errors=True)
        (self.folder / RESULT).unlink(missing_ok=True)

    def fail(self, reason: str) -> None:
        """Note why the run did not complete."""
        mark_failed(self.folder, reason)

    def finish(self, rows: Iterable[Row]) -> None:
        """Mark the run as finished; the samples now hold what the journal held."""
        seconds = [row.seconds for row in rows]
        spent = {"answering": {"documents": len(seconds), "seconds": round(sum(seconds), 3)}}
        files.write_json(self.folder / ENV, files.read_json(self.folder / ENV) | spent)
        seal(self.folder, self.identity.score, self.identity.report)
        (self.folder / FAILED).unlink(missing_ok=True)
        shutil.rmtree(self.folder / JOURNAL, ignore_errors=True)


def runs_of(cells: Sequence[Cell], fetch: bool = True) -> list[Run]:
    """The runs of cells, each once.

    Parameters
    ----------
    cells : sequence of Cell
    fetch : bool
        Let documents come from the hub, as runs are named by them.
    """
    runs = (Run(cell, identity) for cell, identity in zip(cells, identify_all(cells, fetch), strict=True))
    return list({run.id: run for run in runs}.values())


def part_mark(folder: Path, index: int, parts: int) -> Path:
    """The mark that one of several parts of a run's documents is answered; it goes with the journal."""
    return folder / JOURNAL / f"answered-{index}-of-{parts}"


def mark_failed(folder: Path, reason: str) -> None:
    """Note why a run did not complete, so that workers of a sweep leave it alone until it is retried."""
    files.write_json(folder / FAILED, {"reason": reason})


def forget(folder: Path) -> None:
    """Let a run that is finished or failed be run again."""
    (folder / DONE).unlink(missing_ok=True)
    (folder / FAILED).unlink(missing_ok=True)

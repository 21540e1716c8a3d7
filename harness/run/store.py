"""The folder of a run: what is in it, and when it counts as finished."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import yaml

from winnow.harness.common import files
from winnow.harness.common.run_files import CONFIG, DONE, ENV, FAILED, JOURNAL, RESULT
from winnow.harness.config.cell import Cell
from winnow.harness.plan.identity import Identity, identify, identify_all
from winnow.harness.run import journal
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
        """Whether every document was answered and scored; DONE is written last, and knows what the result was."""
        return (self.folder / DONE).exists() and not damage(self.folder, [RESULT])

    def result(self) -> Result:
        """What was measured."""
        return read_result(self.folder)

    def open(self, environment: dict[str, Any]) -> None:
        """Make the folder and note what the run is, and where it runs; a damaged run starts anew."""
        if (self.folder / DONE).exists():
            print(f"run {self.id}: {damage(self.folder)[0]} is damaged: computed again", file=sys.stderr)
            self.reset()
        config = {"id": self.id, "inputs": self.identity.inputs, "cell": self.cell.plain()}
        listed = json.loads(json.dumps(config))  # YAML knows no tuples
        files.write_text(self.folder / CONFIG, yaml.safe_dump(listed, sort_keys=False, allow_unicode=True))
        files.write_json(self.folder / ENV, environment)

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
        written = [path.name for path in self.folder.iterdir() if path.suffix in {".json", ".jsonl", ".parquet"}]
        files.write_json(self.folder / DONE, {name: _digest(self.folder / name) for name in sorted(written)})
        (self.folder / FAILED).unlink(missing_ok=True)
        shutil.rmtree(self.folder / JOURNAL, ignore_errors=True)


def runs_of(cells: Sequence[Cell]) -> list[Run]:
    """The runs of cells, each once."""
    runs = (Run(cell, identity) for cell, identity in zip(cells, identify_all(cells), strict=True))
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


def amend(folder: Path, result: Result) -> None:
    """Add to a result what was found out later, a comparison or a verdict, so that a finished run stays whole."""
    done = folder / DONE
    written: dict[str, str] = json.loads(done.read_text(encoding="utf-8") or "{}") if done.exists() else {}
    whole = RESULT in written and not damage(folder, [RESULT])
    files.write_json(folder / RESULT, result)
    if whole:
        files.write_json(done, written | {RESULT: _digest(folder / RESULT)})


def damage(folder: Path, names: Sequence[str] = ()) -> list[str]:
    """Name the files of a finished run that are not what they were when it was finished.

    Parameters
    ----------
    folder : Path
    names : sequence of str
        Those to look at; by default all.
    """
    text = (folder / DONE).read_text(encoding="utf-8", errors="replace")
    if not text:  # version 0.1 wrote no digests
        return [name for name in (RESULT,) if not (folder / name).exists()]
    try:
        written: dict[str, str] = json.loads(text)
    except ValueError:
        return [DONE]
    return [name for name in names or written if _digest(folder / name) != written.get(name)]


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""

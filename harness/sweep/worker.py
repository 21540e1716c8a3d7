"""A worker of a sweep: claims cells that are free, runs them, and goes on until none is left."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack

from winnow.harness.common import files
from winnow.harness.common.errors import first_line
from winnow.harness.common.exits import BUSY, INCOMPLETE, OK, worst
from winnow.harness.common.run_files import FAILED
from winnow.harness.config.label import label
from winnow.harness.plan.build import Built, build_method
from winnow.harness.run.claim import Claim
from winnow.harness.run.loaded import LoadedModel
from winnow.harness.run.stop import Stop, StoppedError
from winnow.harness.run.store import Run, runs_of
from winnow.harness.sweep.cell_queue import CellQueue
from winnow.harness.sweep.group import run_group
from winnow.harness.sweep.manifest import SweepCell

POLL = 0.5
"""Seconds between two looks at what others still hold."""
CHANGED = "code, versions or data here are not those of the plan: run from where it was made, or make the plan again"


class Worker:
    """One process of a sweep.

    Parameters
    ----------
    share : CellQueue
        Of the sweep.
    stop : Stop
    wait : bool
        Whether to wait for cells that others hold, to take them over if their worker dies.
    """

    def __init__(self, share: CellQueue, stop: Stop, wait: bool = False) -> None:
        self.share, self.stop, self.wait = share, stop, wait
        self.kept = LoadedModel()

    def run(self) -> int:
        """Work until every cell is finished, failed or another's.

        Returns
        -------
        int
            `OK` if all cells of the sweep are finished; `INCOMPLETE` if some failed; `BUSY` if others hold the rest.

        Raises
        ------
        StoppedError
            If that was asked for; everything answered is on the disk.
        UnwritableError
            If nothing can be written where results go.
        """
        with self.kept:
            return self._run_all()

    def _run_all(self) -> int:
        groups = self.share.groups()
        while True:
            worked = False
            for group in groups:
                while self.some(group):
                    worked = True
            self.stop.raise_if_requested()
            if not self.share.left():
                return self._code(OK)
            if not worked:
                if not self.wait:
                    return self._code(BUSY)
                time.sleep(POLL)

    def _code(self, rest: int) -> int:
        return worst([rest, INCOMPLETE if self.share.failed() or self.share.refused else OK])

    def some(self, group: Sequence[SweepCell]) -> bool:
        """Claim some cells of a group, or a part of one, and run them; return whether there were any."""
        self.stop.raise_if_requested()
        if self.share.parts > 1:
            return any(self._part(cell) for cell in group if not self.share.closed(cell))
        with ExitStack() as stack:
            claims = self.share.take(group, stack)
            runs = self._check([cell for cell in group if cell.id in claims])
            if runs:
                self._run({run: claims[run.id] for run in runs})
            return bool(claims)

    def _part(self, cell: SweepCell) -> bool:
        with ExitStack() as stack:
            taken = self.share.take_part(cell, stack)
            if taken is not None and (runs := self._check([cell])):
                self._run({runs[0]: taken[0]}, taken[1])
            return taken is not None

    def _check(self, cells: Sequence[SweepCell]) -> list[Run]:
        """The runs of planned cells; cells that are not those of the plan here are left to others, and named."""
        runs = [(run, (run.id, run.identity.score, run.identity.report)) for run in runs_of([c.cell for c in cells])]
        good = {marks: run for run, marks in runs}
        for cell in cells:
            if cell.marks not in good:
                self.share.refuse(cell)
                print(f"cell {cell.id} is left to others: {CHANGED}", file=sys.stderr, flush=True)
        return [good[cell.marks] for cell in cells if cell.marks in good]

    def _run(self, claims: dict[Run, Claim], part: tuple[int, int] = (0, 1)) -> None:
        """Run cells together; if that fails as a whole, each by itself, so that only what cannot run is marked."""
        built = {run.id: made for run in claims if (made := _build(run)) is not None}
        good = {run: claim for run, claim in claims.items() if run.id in built}
        if not good:
            return
        for run in good:
            print(f"begin {run.id}: {label(run.cell)} {run.cell.asked}".rstrip(), flush=True)
        try:
            run_group(good, built, self.kept, self.stop, part)
            print(self.kept.told(), flush=True)
        except (StoppedError, files.UnwritableError):
            raise
        except Exception as error:
            if len(good) == 1:
                _fail(next(iter(good)), error)
                return
            for run, claim in good.items():
                if not run.done and not (run.folder / FAILED).exists():
                    self._run({run: claim}, part)


def _build(run: Run) -> Built | None:
    try:
        return build_method(run.cell)
    except Exception as error:
        _fail(run, error)
        return None


def _fail(run: Run, error: Exception) -> None:
    """Mark a cell as failed; the traceback goes into its log."""
    reason = first_line(error).removeprefix(f"run {run.id}: ")
    with files.writable(run.cell.results):
        run.folder.mkdir(parents=True, exist_ok=True)
        with (run.folder / "failures.log").open("a", encoding="utf-8") as log:
            log.write("".join(traceback.format_exception(error)) + "\n")
        run.fail(reason)
    print(f"run {run.id} failed: {reason}", file=sys.stderr, flush=True)

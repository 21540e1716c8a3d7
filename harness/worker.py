"""A worker of a sweep: claims cells that are free, runs them, and goes on until none is left."""

from __future__ import annotations

import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TypeVar

from harness import files
from harness.claim import WHOLE, Claim, part_name
from harness.errors import first_line
from harness.exits import BUSY, INCOMPLETE, OK
from harness.group import Kept, run_group
from harness.label import label
from harness.manifest import Manifest, Planned
from harness.method import Built, build_method
from harness.stop import Stop, StoppedError
from harness.store import DONE, FAILED, Run

T = TypeVar("T")

LARGEST = 8
"""Cells that one worker holds at most at a time: more would share each decoded document, fewer spread better."""
POLL = 2.0
"""Seconds between two looks at what others still hold."""


class Worker:
    """One process of a sweep.

    Parameters
    ----------
    manifest : Manifest
    index, workers : int
        Which of how many workers it is; only decides where it begins, so that workers seldom want the same cell.
    stop : Stop
    wait : bool
        Whether to wait for cells that others hold, to take them over if their worker dies.
    parts : int
        In how many parts the documents of each cell are answered, so that several workers can share one cell.
    """

    def __init__(
        self, manifest: Manifest, index: int, workers: int, stop: Stop, wait: bool = False, parts: int = 1
    ) -> None:
        self.manifest, self.index, self.workers, self.stop, self.wait = manifest, index, workers, stop, wait
        self.parts = parts
        self.kept = Kept()
        self.closed: set[str] = set()

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
        groups = _turned(self.manifest.groups, self.index, self.workers)
        while True:
            worked = False
            for group in groups:
                while self._some(group):
                    worked = True
            self.stop.check()
            left = [cell for cell in self.manifest.cells() if not self._closed(cell)]
            if not left:
                failed = any((self.manifest.results / cell.id / FAILED).exists() for cell in self.manifest.cells())
                return INCOMPLETE if failed else OK
            if not worked:
                if not self.wait:
                    return BUSY
                time.sleep(POLL)

    def _some(self, group: Sequence[Planned]) -> bool:
        """Claim some cells of a group and run them; return whether there were any."""
        self.stop.check()
        if self.parts > 1:
            return any(self._some_part(cell) for cell in group if not self._closed(cell))
        with ExitStack() as stack:
            claims = self._claim(group, stack)
            if claims:
                self._run(claims)
            return bool(claims)

    def _claim(self, group: Sequence[Planned], stack: ExitStack) -> dict[Run, Claim]:
        """Claim a share of what is open, the smaller the less is left, so that workers end at about the same time."""
        open_ = [cell for cell in _turned(group, self.index, self.workers) if cell.id not in self.closed]
        wanted = min(LARGEST, -(-len(open_) // (2 * self.workers)))
        claims: dict[Run, Claim] = {}
        for cell in open_:
            if len(claims) == wanted:
                break
            if self._closed(cell):
                continue
            claim = Claim(self.manifest.results / cell.id)
            if claim.held:
                stack.enter_context(claim)
                if not self._closed(cell) and (run := _check(cell)) is not None:
                    claims[run] = claim
                else:
                    claim.release()
        return claims

    def _some_part(self, cell: Planned) -> bool:
        """Answer a part of a cell that nobody answers, or score the cell if all are answered; return whether."""
        run = Run(cell.cell)
        units = [(index, self.parts) for index in _turned(range(self.parts), self.index, self.workers)]
        open_ = [unit for unit in units if not run.part(*unit).exists()]
        for unit in open_ or [(0, 1)]:
            with Claim(run.folder, part_name(*unit) if open_ else WHOLE) as claim:
                if claim.held and not self._closed(cell) and not (open_ and run.part(*unit).exists()):
                    if _check(cell) is not None:
                        self._run({run: claim}, unit)
                    return True
        return False

    def _closed(self, cell: Planned) -> bool:
        """Whether a cell is finished or failed; both are final for this worker."""
        folder = self.manifest.results / cell.id
        if cell.id not in self.closed and ((folder / DONE).exists() or (folder / FAILED).exists()):
            self.closed.add(cell.id)
        return cell.id in self.closed

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
        except (StoppedError, files.UnwritableError):
            raise
        except Exception as error:
            if len(good) == 1:
                _fail(next(iter(good)), error)
                return
            for run, claim in good.items():
                if not run.done and not (run.folder / FAILED).exists():
                    self._run({run: claim}, part)


def _check(cell: Planned) -> Run | None:
    """The run of a planned cell; None, and marked as failed, if code or data are not those of the plan."""
    run = Run(cell.cell)
    if run.id == cell.id:
        return run
    run.folder = run.folder.with_name(cell.id)
    run.fail("code, versions or data changed since the plan: make the plan again")
    return None


def _build(run: Run) -> Built | None:
    try:
        return build_method(run.cell)
    except Exception as error:
        _fail(run, error)
        return None


def _fail(run: Run, error: Exception) -> None:
    """Mark a cell as failed; the traceback goes into its log."""
    with files.writable(run.cell.results):
        run.folder.mkdir(parents=True, exist_ok=True)
        with (run.folder / "failures.log").open("a", encoding="utf-8") as log:
            log.write("".join(traceback.format_exception(error)) + "\n")
        run.fail(first_line(error))
    print(f"run {run.id} failed: {first_line(error)}", file=sys.stderr, flush=True)


def _turned(items: Sequence[T], index: int, workers: int) -> list[T]:
    """The items, beginning at this worker's place."""
    start = len(items) * index // workers
    return [*items[start:], *items[:start]]

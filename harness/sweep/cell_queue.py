"""Which cells of a sweep a worker takes: free ones, beginning at its own place, the fewer the less is left."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import TypeVar

from winnow.harness.common.finished import finished
from winnow.harness.common.run_files import FAILED
from winnow.harness.run.claim import WHOLE, Claim, part_name
from winnow.harness.run.store import part_mark
from winnow.harness.sweep.manifest import Manifest, SweepCell

T = TypeVar("T")

LARGEST = 8
"""Cells that one worker holds at most at a time: more would share each decoded document, fewer spread better."""


class CellQueue:
    """One worker's view of a sweep.

    Parameters
    ----------
    manifest : Manifest
    index, workers : int
        Which of how many workers it is; only decides where it begins, so that workers seldom want the same cell.
    parts : int
        In how many parts the documents of each cell are answered.

    Attributes
    ----------
    refused : set of str
        Cells that are not those of the plan to this worker.
    """

    def __init__(self, manifest: Manifest, index: int, workers: int, parts: int = 1) -> None:
        self.manifest, self.index, self.workers, self.parts = manifest, index, workers, parts
        self._closed: set[str] = set()
        self.refused: set[str] = set()

    def groups(self) -> list[list[SweepCell]]:
        """The groups of the sweep, in this worker's order."""
        return self._turned(self.manifest.groups)

    def left(self) -> bool:
        """Whether any cell is neither finished nor failed."""
        return any(not self.closed(cell) for cell in self.manifest.cells())

    def refuse(self, cell: SweepCell) -> None:
        """Leave a cell to others: this worker would answer or score another one."""
        self.refused.add(cell.id)
        self._closed.add(cell.id)

    def failed(self) -> bool:
        """Whether any cell is marked as failed."""
        return any((self.manifest.results / cell.id / FAILED).exists() for cell in self.manifest.cells())

    def closed(self, cell: SweepCell) -> bool:
        """Whether a cell is finished, failed or refused; all are final for this worker."""
        folder = self.manifest.results / cell.id
        if cell.id not in self._closed and ((folder / FAILED).exists() or finished(folder, cell.score, cell.report)):
            self._closed.add(cell.id)
        return cell.id in self._closed

    def take(self, group: Sequence[SweepCell], stack: ExitStack) -> dict[str, Claim]:
        """Claim some of the open cells of a group; by id, until the stack ends."""
        open_ = [cell for cell in self._turned(group) if cell.id not in self._closed]
        wanted = min(LARGEST, -(-len(open_) // (2 * self.workers)))
        claims: dict[str, Claim] = {}
        for cell in open_:
            if len(claims) == wanted:
                break
            claim = self._claim(cell, WHOLE, stack)
            if claim is not None:
                claims[cell.id] = claim
        return claims

    def take_part(self, cell: SweepCell, stack: ExitStack) -> tuple[Claim, tuple[int, int]] | None:
        """Claim a part of a cell that is not answered, or the whole cell if all parts are; and say which part."""
        folder = self.manifest.results / cell.id
        units = ((index, self.parts) for index in self._turned(range(self.parts)))
        open_ = [unit for unit in units if not part_mark(folder, *unit).exists()]
        for unit in open_ or [(0, 1)]:
            claim = self._claim(cell, part_name(*unit) if open_ else WHOLE, stack)
            if claim is not None and not (open_ and part_mark(folder, *unit).exists()):
                return claim, unit
        return None

    def _claim(self, cell: SweepCell, name: str, stack: ExitStack) -> Claim | None:
        if self.closed(cell):
            return None
        claim = Claim(self.manifest.results / cell.id, name)
        if not claim.held:
            return None
        stack.enter_context(claim)
        if not self.closed(cell):  # looked at again, as it may have been finished before the claim was taken
            return claim
        claim.release()
        return None

    def _turned(self, items: Sequence[T]) -> list[T]:
        """The items, beginning at this worker's place."""
        start = len(items) * self.index // self.workers
        return [*items[start:], *items[:start]]

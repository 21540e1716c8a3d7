"""What is left to be run for some cards: in stages, as controls at equal budget repeat what the method's run did."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from winnow.harness.audit.assemble import roles
from winnow.harness.audit.needs import WAITS, Subject
from winnow.harness.audit.subjects import Store, gather
from winnow.harness.config.cell import Cell
from winnow.harness.config.hydra_api import hydra
from winnow.harness.run.store import Run
from winnow.harness.sweep.manifest import Manifest
from winnow.harness.sweep.plan import plan_cells


def pending(found: Sequence[Subject], store: Store) -> tuple[list[Cell], int]:
    """The cells that can run now and are not finished, each once, and how many have to wait for them.

    A method's run of older code is run again first: what it is held against has to be of the same code.
    """
    with hydra():  # what several cards choose alike is then composed once
        return _pending(found, store)


def _pending(found: Sequence[Subject], store: Store) -> tuple[list[Cell], int]:
    cells, waiting = list[Cell](), 0
    own = [Run(subject.cell) for subject in found]
    stale = {subject.words for subject, run in zip(found, own, strict=True) if not run.done}
    for subject in found:
        gathered = gather(subject, store, roles(), again=subject.words in stale)
        cells += gathered.pending.values()
        waiting += sum(why == WAITS.why for why in gathered.lacking.values())
    return list({repr(cell): cell for cell in cells}.values()), waiting


def plan(found: Sequence[Subject], store: Store, out: Path | None, dry: bool) -> tuple[Manifest | None, int]:
    """Plan the cells that can run now; no manifest where all are finished. Also how many have to wait for them."""
    cells, waiting = pending(found, store)
    return (plan_cells(cells, out, dry, []) if cells else None), waiting

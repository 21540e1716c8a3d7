"""Where the cells of a sweep stand, read from the store alone: no queue, no accounting, no resident process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from winnow.harness.common import files
from winnow.harness.common.finished import finished
from winnow.harness.common.plain import visible
from winnow.harness.common.run_files import DONE, FAILED, JOURNAL
from winnow.harness.run.claim import WHOLE, alive, claims, describe, living_claim
from winnow.harness.sweep.manifest import Manifest, SweepCell
from winnow.reducers.core.errors import WinnowError

Kind = Literal["finished", "failed", "running", "pending"]


@dataclass
class State:
    """One cell.

    Attributes
    ----------
    planned : SweepCell
    kind : {"finished", "failed", "running", "pending"}
        Pending also means: its worker died, and the next one takes it over.
    answered : int
        Documents on the disk so far, of a cell that is running or pending.
    reason : str
        Why it failed.
    """

    planned: SweepCell
    kind: Kind
    answered: int = 0
    reason: str = ""


@dataclass
class Watch:
    """Looks at a sweep again and again; finished cells are not looked at twice."""

    manifest: Manifest
    _final: dict[str, State] = field(default_factory=dict)

    def look(self) -> list[State]:
        """The state of every cell."""
        states = [self._final.get(cell.id) or state_of(cell, self.manifest.results) for cell in self.manifest.cells()]
        self._final |= {state.planned.id: state for state in states if state.kind == "finished"}
        return states


def state_of(planned: SweepCell, results: Path) -> State:
    """Look at one cell."""
    folder = results / planned.id
    try:
        names = {path.name for path in folder.iterdir()}
    except FileNotFoundError:
        return State(planned, "pending")
    if DONE in names and finished(folder, planned.score, planned.report):
        return State(planned, "finished")
    held = any(name.startswith(WHOLE) for name in names) and living_claim(folder) is not None
    kind: Kind = "running" if held else "failed" if FAILED in names else "pending"
    if kind == "failed":
        return State(planned, kind, reason=reason(folder))
    return State(planned, kind, answered(folder) if JOURNAL in names else 0)


def reason(folder: Path) -> str:
    """Why a run failed; empty if somebody has just let it be retried."""
    try:
        return visible(str(files.read_json(folder / FAILED)["reason"]))
    except FileNotFoundError:
        return ""
    except (WinnowError, KeyError, TypeError):
        return f"{folder / FAILED} is damaged"


def answered(folder: Path) -> int:
    """Count the rows in a run's journal."""
    try:
        return sum(map(files.count_lines, (folder / JOURNAL).glob("*.jsonl")))
    except FileNotFoundError:  # it was finished just now
        return 0


def counts(states: Iterable[State]) -> dict[str, int]:
    """How many cells are in each state."""
    found = Counter(state.kind for state in states)
    return {kind: found[kind] for kind in ("finished", "running", "pending", "failed")}


def weigh(states: Iterable[State]) -> tuple[float, float]:
    """Work that is done and work that is left: in estimated seconds, or in cells where there are no estimates."""
    done = left = 0.0
    for state in states:
        cell = state.planned
        weight = cell.seconds if cell.seconds is not None else 1.0
        share = 1.0 if state.kind in ("finished", "failed") else 0.0
        if not share and cell.documents:
            share = min(1.0, state.answered / cell.documents)
        done, left = done + weight * share, left + weight * (1 - share)
    return done, left


def seconds_left(states: Sequence[State], workers: int) -> float | None:
    """Estimated seconds that so many workers still take; None where some cell has no estimate."""
    if not workers or any(state.planned.seconds is None for state in states):
        return None
    return weigh(states)[1] / workers


def holders(states: Iterable[State], results: Path) -> int:
    """Count the workers that hold the running cells."""
    folders = (results / state.planned.id for state in states if state.kind == "running")
    return len({describe(claim) for folder in folders for claim in claims(folder) if alive(claim)})


def duration(seconds: float) -> str:
    """Seconds as people read them."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def number(count: int, what: str) -> str:
    """A count and its noun."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"

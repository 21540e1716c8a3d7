"""From overrides to the methods that cards are about, and to the finished runs of their roles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from winnow.harness.audit.needs import WAITS, Role, Subject, needed
from winnow.harness.audit.runs import Ran, load
from winnow.harness.common.errors import leave_out
from winnow.harness.common.finished import damage
from winnow.harness.config.cell import Cell
from winnow.harness.config.expand import each, expand
from winnow.harness.config.hydra_api import hydra
from winnow.harness.plan.identity import settings_of
from winnow.harness.results.plots.tradeoff import curve
from winnow.harness.run.result import Result, read_result, results_of
from winnow.harness.run.tops import Top, tops_below
from winnow.harness.sweep.cells import Known, job_cells
from winnow.reducers.core.errors import WinnowError

REFUSED = ("none", "blind")


class Store:
    """The finished runs below a folder, by what was asked of them; each is read once it is asked for."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tops = {one.settings: one for one in tops_below(folder) if one.status == "complete"}
        self._loaded: dict[str, Ran | None] = {}

    def top(self, cell: Cell) -> Top | None:
        """That of the newest finished run of a cell's settings."""
        return self._tops.get(settings_of(cell))

    def find(self, cell: Cell) -> Ran | None:
        """The newest finished run of a cell's settings; None also where its files cannot be read, which is told."""
        top = self.top(cell)
        return None if top is None else self.load(top)

    def budgets(self, result: Result) -> list[Ran]:
        """The finished runs of the same method, model and documents at whatever budget, the largest first."""
        same = result["context"], result["reducer"], result["label"]
        alike = [one.id for one in self._tops.values() if (one.context, one.reducer, one.label) == same]
        wanted = {one["id"] for one in results_of(self.folder, alike) if curve(one) == curve(result)}
        found = [self.load(one) for one in self._tops.values() if one.id in wanted]
        return sorted((one for one in found if one is not None), key=lambda one: one.spent, reverse=True)

    def load(self, top: Top) -> Ran | None:
        """Read a run, once; one whose files are damaged is named."""
        if top.id not in self._loaded:
            try:
                self._loaded[top.id] = _whole(self.folder / top.id)
            except (WinnowError, OSError) as error:
                leave_out(error)
                self._loaded[top.id] = None
        return self._loaded[top.id]


def _whole(folder: Path) -> Ran:
    if bad := damage(folder):
        raise WinnowError(f"{folder / bad[0]} is missing or damaged: run {folder.name} again with force=true")
    return load(read_result(folder), folder)


@dataclass
class Gathered:
    """What there is for one card.

    Attributes
    ----------
    subject : Subject
    runs : dict
        By role.
    pending : dict
        The cells that can run now and have not, by role.
    lacking : dict
        Why a role has no run: the command that makes it, or why nothing can.
    """

    subject: Subject
    runs: dict[str, Ran] = field(default_factory=dict)
    pending: dict[str, Cell] = field(default_factory=dict)
    lacking: dict[str, str] = field(default_factory=dict)


def subjects(words: Sequence[str]) -> list[Subject]:
    """The methods that overrides ask for, one for each of their combinations.

    Raises
    ------
    WinnowError
        For tables of papers, and for what is itself a control.
    """
    found = []
    with hydra():
        known = Known()
        for job in expand(words).jobs:
            if job.base.table:
                raise WinnowError("a card is about a method: say reducer=…, not experiment=…")
            (cell,) = job_cells(job, known)
            if cell.method.name in REFUSED:
                raise WinnowError(f"reducer={cell.method.name} is what others are held against: audit another method")
            found.append(Subject(tuple(job.words), cell))
    return found


def gather(subject: Subject, store: Store, roles: Sequence[str], again: bool = False) -> Gathered:
    """Find the runs of a card's roles; those of another context than the method's do not count.

    Parameters
    ----------
    subject : Subject
    store : Store
    roles : sequence of str
    again : bool
        The method's own run does not count either, as it is to be run again.
    """
    own = None if again else store.find(subject.cell)
    found = Gathered(subject, {"method": own} if own else {})
    asked, waiting = dict[str, Role](), list(roles)
    while waiting:  # what repeats another role's run is known once that is found
        asked = dict(needed(subject, waiting, found.runs))
        cells = cells_of([role.words for name, role in asked.items() if role.words and name != "method"])
        for name, role in asked.items():
            cell = subject.cell if name == "method" else cells.get(role.words, role.why)
            found.lacking[name] = _take(found, store, own, name, role, cell, again and name == "method")
        before, waiting = waiting, [name for name in roles if found.lacking[name] == WAITS.why]
        if waiting == before:
            break
    found.lacking = {name: why for name, why in found.lacking.items() if why}
    return found


def _take(found: Gathered, store: Store, own: Ran | None, name: str, role: Role, cell: Cell | str, again: bool) -> str:
    """Put a role's run, or the cell that makes it, in its place; say what is lacking, if anything."""
    if isinstance(cell, str):
        return cell
    command = f"winnow eval {' '.join(role.words)}"
    top = None if again else store.top(cell)
    if top is None or (own is not None and top.context != own.result["context"]):
        found.pending[name] = cell
        return command
    ran = store.load(top)
    if ran is None:
        return f"{command} force=true"  # it counts as finished: no plan runs it
    found.runs[name] = ran
    return ""


def cells_of(lists: Sequence[tuple[str, ...]]) -> dict[tuple[str, ...], Cell | str]:
    """The cells of overrides, or why they are none."""
    found: dict[tuple[str, ...], Cell | str] = {}
    with hydra():
        known = Known()
        for words, job in zip(lists, each(lists), strict=True):
            try:
                (found[words],) = job_cells(job, known)
            except WinnowError as error:
                found[words] = str(error)
    return found

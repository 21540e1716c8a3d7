"""One cell at work: what it has answered, what it lacks, and what it cannot answer."""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.data.document import Document
from winnow.harness.data.faults import grouped
from winnow.harness.plan.build import Built
from winnow.harness.run.claim import Claim
from winnow.harness.run.journal import Deaths, Journal
from winnow.harness.run.record import Row
from winnow.harness.run.store import Run
from winnow.reducers.core.errors import WinnowError

APART = 2
"""Processes that may die on a batch before its documents are taken one by one; one is tried again as it was, since
answers below float32 can depend on the batch."""
ALONE = 2
"""Processes that may die on a document alone; kills from outside seldom hit one so often."""
DEATHS = 4
"""Processes that may die on a document in all."""
ALIKE = 10
"""Documents that may fail alike at the beginning of a run before the others are left alone."""


@dataclass(eq=False)
class CellRun:
    """One cell at work.

    Attributes
    ----------
    run, built : Run, Built
        What it is, and its method.
    rows : dict
        What it has answered so far; what became of their tokens is in the journal.
    journal, claim : Journal, Claim
        Where answers go, and what says that it is ours.
    died : dict
        Documents that processes died on.
    given_up : set
        Documents that are not to be tried again by this process.
    stopped : str
        Why the others are not tried either; empty: they are.
    """

    run: Run
    built: Built
    rows: dict[tuple[str, int], Row]
    journal: Journal
    claim: Claim
    died: dict[tuple[str, int], Deaths] = field(default_factory=dict)
    given_up: set[tuple[str, int]] = field(default_factory=set)
    stopped: str = ""
    _failed: list[tuple[int, str]] = field(default_factory=list)

    def needs(self, document: Document) -> bool:
        """Whether the document has no good answer yet."""
        row = self.rows.get(key_of(document))
        answered = row is not None and row.status == "ok" and row.doc == document.fingerprint
        return not answered and not self.stopped and key_of(document) not in self.given_up

    def missing(self, documents: Sequence[Document]) -> set[tuple[str, int]]:
        """Those of some documents that have no good answer yet."""
        return {key_of(document) for document in documents if self.needs(document)}

    def suspects(self, documents: Sequence[Document]) -> bool:
        """Whether one of the missing documents may be what processes died on, so that each is to be taken alone."""
        found = [self.died[key] for key in self.missing(documents) & self.died.keys()]
        return any(deaths.alone or deaths.together >= APART for deaths in found)

    def give_up(self, documents: Sequence[Document]) -> None:
        """Mark those documents as failed that too many processes died on: the next would die as well."""
        for document in documents:
            found = self.died.get(key_of(document))
            if found and found.alone >= ALONE and sum(found) >= DEATHS and self.needs(document):
                died = WinnowError(f"{DEATHS} processes died on this document")
                self.keep([self.fail(document, died)], {key_of(document)})
                self.given_up.add(key_of(document))
                self.journal.spare(key_of(document))

    def keep(self, rows: Iterable[Row], wanted: Collection[tuple[str, int]]) -> int:
        """Bring the wanted ones of these rows to the disk; return how many."""
        try:
            kept = self.journal.append(row for row in rows if row.key in wanted)
        except FileNotFoundError:  # whoever took the run over has finished it
            if not self.claim.lost(look=True):
                raise
            return 0
        self.rows |= {row.key: row for row in kept}
        return len(kept)

    def note(self, rows: Iterable[Row]) -> None:
        """Look at what the model made of some documents: stop where the first ones all fail alike, and none did not."""
        if self.stopped or any(row.status == "ok" for row in self.rows.values()):
            return
        self._failed += [(row.doc_id, row.reason) for row in rows if row.status != "ok"]
        most = next(iter(grouped(self._failed)), None)
        if most is not None and len(most.documents) >= ALIKE:
            self.stopped = f"its first {len(most.documents)} documents fail alike ({most.reason})"

    def fail(self, document: Document, error: BaseException) -> Row:
        """The row of a document that could not be answered; the traceback goes into ``failures.log``."""
        with (self.run.folder / "failures.log").open("a", encoding="utf-8") as log:
            log.write(f"{document.task}/{document.doc_id}\n{''.join(traceback.format_exception(error))}\n")
        reason = first_line(root_cause(error))
        return Row(document.task, document.doc_id, document.fingerprint, status="failed", reason=reason)


def key_of(document: Document) -> tuple[str, int]:
    """How rows name a document."""
    return document.task, document.doc_id

"""Runs the cells of one group, which share model, tasks and batch size: load, answer, score, finish."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache

from winnow.harness.common import files
from winnow.harness.common.exits import BUSY, INCOMPLETE, OK, worst
from winnow.harness.common.progress import progress
from winnow.harness.common.run_files import ENV, JOURNAL, TRACES
from winnow.harness.common.spent import Spent
from winnow.harness.data.document import Document
from winnow.harness.data.documents import Tasks
from winnow.harness.data.faults import REASONS, grouped
from winnow.harness.plan.build import Built
from winnow.harness.results.tracking.track import track
from winnow.harness.run import environment, journal, traces
from winnow.harness.run.answer import answer_all
from winnow.harness.run.cell_run import CellRun, key_of
from winnow.harness.run.claim import Claim
from winnow.harness.run.loaded import LoadedModel
from winnow.harness.run.sharing import Sharing
from winnow.harness.run.stop import Stop
from winnow.harness.run.store import Run, part_mark
from winnow.harness.run.stored import adopted
from winnow.harness.score.result import finish
from winnow.harness.score.scoring import rehearse, score_task
from winnow.reducers.core.errors import WinnowError


def run_group(
    runs: Mapping[Run, Claim], built: Mapping[str, Built], kept: LoadedModel, stop: Stop, part: tuple[int, int] = (0, 1)
) -> int:
    """Answer and score the runs of one group.

    Parameters
    ----------
    runs : mapping
        The runs, each with the claim that says it is ours.
    built : mapping
        Their methods, by id.
    kept : LoadedModel
    stop : Stop
    part : (int, int)
        Which of how many parts of the documents to answer; a part is answered and marked, but not scored.

    Returns
    -------
    int
        `OK`; `INCOMPLETE` if a document or a task failed; `BUSY` if another process works on the rest.

    Raises
    ------
    WinnowError
        If tasks or model cannot be loaded, or the results folder is not writable.
    StoppedError
        If that was asked for; everything answered is on the disk.
    """
    cell = next(iter(runs)).cell
    with files.writable(cell.results):
        tasks, documents = kept.tasks(cell)
        works, before = [_open(found, built[found.id], claim) for found, claim in runs.items()], kept.spent.now()
        for work in works:
            _adopt(work, documents)
        _answer(works, tasks, documents, kept, stop, part)
        if part[1] > 1:
            return worst([_close_part(work, part) for work in works])
        return worst([_close(work, tasks, documents, stop, kept.spent, before) for work in works])


def _open(found: Run, built: Built, claim: Claim) -> CellRun:
    if found.cell.force:
        found.reset()
    found.open(environment.describe())
    died = journal.deaths(found.folder / JOURNAL)
    return CellRun(found, built, found.rows(), found.journal(), claim, died)


def _adopt(work: CellRun, documents: Mapping[str, Sequence[Document]]) -> None:
    """Take over what runs that differ in other documents only have answered."""
    wanted = {key_of(one): one.fingerprint for found in documents.values() for one in found if work.needs(one)}
    if wanted and not work.run.cell.force:
        found = work.keep(adopted(work.run.folder, work.run.identity.line, wanted), wanted)
        if found:
            print(f"run {work.run.id}: {found} answers of earlier runs hold for it", file=sys.stderr)


def _answer(
    works: Sequence[CellRun],
    tasks: Tasks,
    documents: dict[str, list[Document]],
    kept: LoadedModel,
    stop: Stop,
    part: tuple[int, int],
) -> None:
    """Answer what is missing; the model is loaded only if something is."""

    @cache
    def share() -> Sharing:
        made = kept.model(works[0].run.cell.seen)
        for work in works:
            files.write_json(work.run.folder / ENV, environment.describe(made))
        return Sharing(works, made, kept.layers)

    pool = kept.pool(works[0].run.cell.media)
    for name, found in documents.items():
        for work in works:
            work.give_up(found)
        missing = sum(work.needs(document) for work in works for document in found)
        if missing:
            rehearse(tasks, name, found)
            with progress(f"answering {name}", missing) as advance:
                answer_all(works, found, share, advance, stop, pool, kept.spent, part)


def _close_part(work: CellRun, part: tuple[int, int]) -> int:
    """Mark a part as answered; the last one that is scores the run."""
    if work.stopped:
        return _stopped(work)
    part_mark(work.run.folder, *part).touch()
    return BUSY


def _stopped(work: CellRun) -> int:
    """Say why a run was not answered to its end; its documents are tried again when it is asked for again."""
    why = f"{work.stopped}: mend that, and run the same command again"
    print(f"run {work.run.id} is stopped, {why}", file=sys.stderr)
    work.run.fail(f"stopped, {work.stopped}")
    return INCOMPLETE


def _close(
    work: CellRun,
    tasks: Tasks,
    documents: dict[str, list[Document]],
    stop: Stop,
    spent: Spent,
    before: Mapping[str, float],
) -> int:
    """Score one run and write its result; a task that cannot be scored leaves the answers as they are."""
    stop.raise_if_requested()
    if work.claim.lost(look=True):
        print(f"run {work.run.id} was taken over while this process stood still: left to the other", file=sys.stderr)
        return BUSY
    if work.stopped:
        return _stopped(work)
    rows = [work.rows[document.task, document.doc_id] for found in documents.values() for document in found]
    answered = journal.whole(row for row in rows if row.status == "ok")
    traces.write(work.run.folder / TRACES, answered)  # before scoring, which takes as much memory again
    try:
        with progress(f"scoring {work.built.reducer.name}"), spent.on("score"):
            family, folder = work.run.cell.model.family, work.run.folder
            scored = [score_task(tasks, name, found, work.rows, folder, family) for name, found in documents.items()]
    except WinnowError as error:
        print(f"run {work.run.id} is not scored: {error}", file=sys.stderr)
        work.run.fail(f"not scored: {error}")
        return INCOMPLETE
    result = finish(work, rows, scored, spent.since(before))
    if result["status"] == "complete":
        track(work.run.cell.tracker, work.run.folder)
        return OK
    failed = grouped((row.doc_id, row.reason) for row in rows if row.status != "ok")
    reasons = "; ".join(f"{len(fault.documents)} x {fault}" for fault in failed[:REASONS])
    why = f"{result['failed']} of {result['documents']} documents failed ({reasons})"
    print(f"run {work.run.id} is incomplete: {why}; run the same command again to retry them", file=sys.stderr)
    work.run.fail(why)
    return INCOMPLETE

"""Answers documents: each is decoded and encoded once for all cells that share the model and the tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from winnow.harness.common.progress import Advance
from winnow.harness.common.spent import Spent
from winnow.harness.data.ahead import Ahead
from winnow.harness.data.document import Document
from winnow.harness.data.pool import Pool
from winnow.harness.data.stress import Stress
from winnow.harness.run.cell_run import CellRun
from winnow.harness.run.generate import Batch, answer, answer_jointly, encode
from winnow.harness.run.preflight import stop_failing
from winnow.harness.run.preparing import Prepared, Preparer, free_memory
from winnow.harness.run.record import Row
from winnow.harness.run.sharing import Sharing, check_together
from winnow.harness.run.stop import Stop, StoppedError
from winnow.models.engine import Trunk
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded

Prompted = list[tuple[Document, Prompt]]


def batches(documents: Sequence[Document], size: int) -> Iterator[list[Document]]:
    """Cut documents into batches in their order, the same whatever has been answered already."""
    batch: list[Document] = []
    for document in documents:
        if batch and (len(batch) == size or document.generation != batch[0].generation):
            yield batch
            batch = []
        batch.append(document)
    if batch:
        yield batch


def answer_all(
    works: Sequence[CellRun],
    documents: Sequence[Document],
    share: Callable[[], Sharing],
    advance: Advance,
    stop: Stop,
    pool: Pool,
    spent: Spent,
    part: tuple[int, int] = (0, 1),
) -> None:
    """Answer what is missing.

    Parameters
    ----------
    works : sequence of CellRun
        Cells of one model, one set of tasks and one batch size.
    documents : sequence of Document
        Of one task, in order.
    share : callable
        Loads the model, and says what the cells share; called when something has to be answered.
    advance : callable
        Told of each number of documents that were dealt with, and how long the model waited for media.
    stop : Stop
        Asked after each batch of each cell.
    pool : Pool
        Decodes ahead of the model.
    spent : Spent
        Counts where the time goes.
    part : (int, int)
        Which of how many parts of the batches to answer.

    Raises
    ------
    StoppedError
        If that was asked for; everything answered is on the disk.
    WinnowError
        See `preflight`; or if cells are to decode together what they cannot.
    """
    cell = works[0].run.cell
    check_together(cell, documents)
    index, parts = part
    stress = Stress(cell.stress, documents)
    size = 1 if cell.stress.turns > 1 else cell.batch_size  # answers of two lengths stand in no batch
    mine = list(islice(batches(stress.ordered(documents), size), index, None, parts))
    wanted = (batch for batch in mine if any(work.missing(batch) for work in works))
    ahead = Ahead(pool, (document for batch in wanted for document in batch), cell.seen.frames)
    steps = (step for step in _steps(works, mine) if step.wanted())
    preparer, step, begun, flown = Preparer(ahead, spent, stress), next(steps, None), None, False
    try:
        while step is not None:
            sharing = share()
            begun = begun or preparer.begin(step.works, step.documents, sharing.loaded)
            with spent.on("wait"):
                prepared = begun.result()
            after, begun = next(steps, None), None
            if after is not None and not step.suspect and not after.suspect and ahead.room(len(after.documents)):
                begun = preparer.begin(after.works, after.documents, sharing.loaded)
            if prepared.prompts and not flown:
                sharing.preflight(sharing.loaded, *prepared.prompts[0])
                stop_failing([work for work in works if work.missing(documents)], sharing.loaded, *prepared.prompts[0])
                flown = True
            _answer_step(step, prepared, sharing, advance, stop, spent)
            step = after
    finally:
        preparer.close()


@dataclass(frozen=True, eq=False)
class _Step:
    """Documents that are answered together under some methods; suspects may be what processes died on."""

    works: Sequence[CellRun]
    documents: Sequence[Document]
    suspect: bool = False

    def wanted(self) -> dict[CellRun, set[tuple[str, int]]]:
        """The cells that lack answers, and to which of the documents."""
        mine = (work for work in self.works if not work.claim.lost())
        return {work: missing for work in mine if (missing := work.missing(self.documents))}


def _steps(works: Sequence[CellRun], mine: Sequence[list[Document]]) -> Iterator[_Step]:
    """The batches in order; suspects alone, and nothing else beside them, so that a death is told to be theirs."""
    for batch in mine:
        apart = [work for work in works if work.suspects(batch)]
        yield _Step([work for work in works if work not in apart], batch)
        for document in batch if apart else ():
            yield _Step(apart, [document], suspect=True)


def _answer_step(step: _Step, prepared: Prepared, sharing: Sharing, advance: Advance, stop: Stop, spent: Spent) -> None:
    """Answer prepared documents under each method that lacks an answer."""
    model: Any = sharing.loaded.model
    encoded = None if prepared.batch is None else prepared.batch.on(model.device)
    wanted = step.wanted()
    for group, trunk in sharing.turns([*wanted]):
        with spent.on("llm"):
            together = {} if step.suspect else {work: wanted[work] for work in group}  # a death is then told of one
            there = _joint(together, encoded, trunk, sharing, stop)
        for work in group:
            if work not in there:
                stop.raise_if_requested()
            missing = wanted[work]
            with work.journal.begun(missing):
                failed = [work.fail(document, error) for document, error in prepared.broken]
                with spent.on("llm"):
                    answered = there.get(work) or _shared(work, encoded, trunk, sharing)
                    answered = answered or _answer_batch(work, sharing.loaded, prepared.prompts, encoded)
                rows = [replace(row, **prepared.seen.get(row.key, {})) for row in [*answered, *failed]]
                advance(work.keep(rows, missing), f"({spent.seconds['wait']:.0f} s waited for media)")
                work.note(answered)


def _joint(
    wanted: Mapping[CellRun, set[tuple[str, int]]],
    batch: Batch | None,
    trunk: Trunk | None,
    sharing: Sharing,
    stop: Stop,
) -> dict[CellRun, list[Row]]:
    """Answer a batch under several methods that decode together; empty: each has to do so by itself."""
    wanted = {work: missing for work, missing in wanted.items() if not sharing.alone(work)}
    if not wanted or trunk is None or batch is None or batch.then or not sharing.joint:
        return {}
    methods = [(work.built.reducer, work.run.cell.seed) for work in wanted]
    with ExitStack() as notes:
        for work, missing in wanted.items():
            notes.enter_context(work.journal.begun(missing))
        try:
            rows = answer_jointly(sharing.loaded, methods, batch, trunk, stop.raise_if_requested)
            return dict(zip(wanted, rows, strict=True))
        except StoppedError:
            raise
        except Exception as error:
            sharing.failed(trunk, error)
    free_memory()
    return {}


def _shared(work: CellRun, batch: Batch | None, trunk: Trunk | None, sharing: Sharing) -> list[Row] | None:
    """Answer a batch with what other cells have computed of it; None: it has to be answered alone."""
    if trunk is None or batch is None or batch.then or trunk.closed:
        return None
    try:
        return answer(sharing.loaded, work.built.reducer, batch, work.run.cell.seed, trunk)
    except Exception as error:
        sharing.failed(trunk, error)
    free_memory()
    return None


def _answer_batch(work: CellRun, loaded: Loaded, prompts: Prompted, batch: Batch | None) -> list[Row]:
    """Answer a batch; if that fails as a whole, its halves, down to the document that cannot be answered."""
    if not prompts:
        return []
    try:
        if batch is None:
            batch = encode(loaded, [document for document, _ in prompts], [prompt for _, prompt in prompts])
        return answer(loaded, work.built.reducer, batch, work.run.cell.seed)
    except Exception as error:
        if len(prompts) == 1:
            return [work.fail(prompts[0][0], error)]
    free_memory()  # outside of the handler, as the traceback holds on to the tensors
    middle = (len(prompts) + 1) // 2
    return [row for half in (prompts[:middle], prompts[middle:]) for row in _answer_batch(work, loaded, half, None)]

"""Answers documents: each is decoded and encoded once for all cells that share the model and the tasks."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import torch

from harness.config.method import Built
from harness.data.documents import Document
from harness.data.media import make_prompt, name_of
from harness.errors import first_line, root_cause
from harness.run.claim import Claim
from harness.run.generate import Batch, answer, encode
from harness.run.journal import Journal
from harness.run.record import Row
from harness.run.stop import Stop
from harness.run.store import Run
from models.load import Loaded
from models.prompt import Prompt

Prompted = list[tuple[Document, Prompt]]


@dataclass(eq=False)
class Work:
    """One cell at work: its run, its method, what it has answered so far, and the claim that says it is ours."""

    run: Run
    built: Built
    rows: dict[tuple[str, int], Row]
    journal: Journal
    claim: Claim

    def needs(self, document: Document) -> bool:
        """Whether the document has no good answer yet."""
        row = self.rows.get((document.task, document.doc_id))
        return row is None or row.status != "ok" or row.doc != document.fingerprint

    def keep(self, rows: Sequence[Row], wanted: set[tuple[str, int]]) -> int:
        """Bring the wanted ones of these rows to the disk; return how many."""
        kept = [row for row in rows if row.key in wanted]
        try:
            self.journal.append(kept)
        except FileNotFoundError:  # whoever took the run over has finished it
            if not self.claim.lost(look=True):
                raise
            return 0
        self.rows |= {row.key: row for row in kept}
        return len(kept)

    def fail(self, document: Document, error: BaseException) -> Row:
        """The row of a document that could not be answered; the traceback goes into ``failures.log``."""
        with (self.run.folder / "failures.log").open("a", encoding="utf-8") as log:
            log.write(f"{document.task}/{document.doc_id}\n{''.join(traceback.format_exception(error))}\n")
        reason = first_line(root_cause(error))
        return Row(document.task, document.doc_id, document.fingerprint, status="failed", reason=reason)


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
    works: Sequence[Work],
    documents: Sequence[Document],
    load: Callable[[], Loaded],
    advance: Callable[[int], None],
    stop: Stop,
    part: tuple[int, int] = (0, 1),
) -> None:
    """Answer what is missing.

    Parameters
    ----------
    works : sequence of Work
        Cells of one model, one set of tasks and one batch size.
    documents : sequence of Document
        Of one task, in order.
    load : callable
        Gives the model; called when something has to be answered.
    advance : callable
        Told of each number of documents that were dealt with.
    stop : Stop
        Asked after each batch of each cell.
    part : (int, int)
        Which of how many parts of the batches to answer.

    Raises
    ------
    StoppedError
        If that was asked for; everything answered is on the disk.
    """
    cell = works[0].run.cell
    index, parts = part
    for batch in islice(batches(documents, cell.batch_size), index, None, parts):
        wanted = {work: {(d.task, d.doc_id) for d in batch if work.needs(d)} for work in works if not work.claim.lost()}
        if not any(wanted.values()):
            continue
        loaded = load()
        prompts, broken, media = _prompts(batch, cell.seen.frames)
        encoded = _try_encode(loaded, prompts)
        for work, missing in wanted.items():
            if missing:
                stop.check()
                failed = [work.fail(document, error) for document, error in broken]
                rows = [replace(r, media=media[r.key]) for r in _answer_batch(work, loaded, prompts, encoded)]
                advance(work.keep([*rows, *failed], missing))


def _prompts(
    batch: Sequence[Document], frames: int
) -> tuple[Prompted, list[tuple[Document, BaseException]], dict[tuple[str, int], str]]:
    """Decode the pictures of each document; a task that exits the interpreter over a missing file fails like others."""
    good: Prompted = []
    broken: list[tuple[Document, BaseException]] = []
    media: dict[tuple[str, int], str] = {}
    for document in batch:
        try:
            visuals = document.visuals()
            media[document.task, document.doc_id] = name_of(visuals)
            good.append((document, make_prompt(document.text, visuals, frames)))
        except (Exception, SystemExit) as error:
            broken.append((document, error))
    return good, broken, media


def _try_encode(loaded: Loaded, prompts: Prompted) -> Batch | None:
    """Encode all prompts together; None if that fails, as then each is tried by itself."""
    try:
        return (
            encode(loaded, [document for document, _ in prompts], [prompt for _, prompt in prompts])
            if prompts
            else None
        )
    except Exception:
        _free_memory()
        return None


def _answer_batch(work: Work, loaded: Loaded, prompts: Prompted, batch: Batch | None) -> list[Row]:
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
    _free_memory()  # outside of the handler, as the traceback holds on to the tensors
    middle = (len(prompts) + 1) // 2
    return [row for half in (prompts[:middle], prompts[middle:]) for row in _answer_batch(work, loaded, half, None)]


def _free_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

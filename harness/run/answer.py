"""Answers documents: each is decoded and encoded once for all cells that share the model and the tasks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch

from winnow.harness.common.progress import Advance
from winnow.harness.common.spent import Spent
from winnow.harness.data.ahead import Ahead, Pool
from winnow.harness.data.document import Document, print_of
from winnow.harness.data.media import make_prompt, name_of
from winnow.harness.data.pixels import file_of, pixels_of
from winnow.harness.data.video.clip import Clip
from winnow.harness.run.cell_run import CellRun
from winnow.harness.run.generate import Batch, answer, encode
from winnow.harness.run.record import Row
from winnow.harness.run.stop import Stop
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded
from winnow.reducers.core.errors import WinnowError

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
    load: Callable[[], Loaded],
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
    load : callable
        Gives the model; called when something has to be answered.
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
    """
    cell = works[0].run.cell
    index, parts = part
    mine = list(islice(batches(documents, cell.batch_size), index, None, parts))
    wanted = (batch for batch in mine if any(work.missing(batch) for work in works))
    ahead = Ahead(pool, (document for batch in wanted for document in batch), cell.seen.frames, spent)
    for batch in mine:
        apart = [work for work in works if work.suspects(batch)]
        _answer_some([work for work in works if work not in apart], batch, load, advance, stop, ahead)
        for document in batch:
            _answer_some(apart, [document], load, advance, stop, ahead)


def _answer_some(
    works: Sequence[CellRun],
    documents: Sequence[Document],
    load: Callable[[], Loaded],
    advance: Advance,
    stop: Stop,
    ahead: Ahead,
) -> None:
    """Decode and encode some documents once, and answer them under each method that lacks an answer."""
    wanted = {work: missing for work in works if not work.claim.lost() and (missing := work.missing(documents))}
    if not wanted:
        return
    loaded = load()
    with ExitStack() as notes:
        for work, missing in wanted.items():
            notes.enter_context(work.journal.begun(missing))
        prompts, broken, seen = _prompts(documents, ahead)
        with ahead.spent.on("prepare"):
            encoded = _try_encode(loaded, prompts)
    for work, missing in wanted.items():
        stop.raise_if_requested()
        with work.journal.begun(missing):
            failed = [work.fail(document, error) for document, error in broken]
            with ahead.spent.on("model"):
                rows = [*_answer_batch(work, loaded, prompts, encoded), *failed]
            rows = [replace(row, **seen.get(row.key, {})) for row in rows]
            advance(work.keep(rows, missing), f"({ahead.waited:.0f} s waited for media)")


def _prompts(
    batch: Sequence[Document], ahead: Ahead
) -> tuple[Prompted, list[tuple[Document, BaseException]], dict[tuple[str, int], dict[str, Any]]]:
    """Decode the pictures of each document; a task that exits the interpreter over a missing file fails like others."""
    good: Prompted = []
    broken: list[tuple[Document, BaseException]] = []
    seen: dict[tuple[str, int], dict[str, Any]] = {}
    for document in batch:
        clips: list[Clip] = []

        def sample(path: Path, frames: int, until: int | None, clips: list[Clip] = clips) -> Clip:
            clips.append(ahead.sample(path, frames, until))
            return clips[-1]

        try:
            visuals = ahead.visuals(document)
            _check(document, visuals)
            facts = seen[document.task, document.doc_id] = {"media": name_of(visuals)}
            good.append((document, make_prompt(document.text, visuals, ahead.frames, sample)))
            damage = next((clip.damage for clip in clips if clip.damage), "")
            facts |= {"readers": [clip.reader for clip in clips], "damage": damage}
        except (Exception, SystemExit) as error:
            broken.append((document, error))
    return good, broken, seen


def _check(document: Document, visuals: Sequence[Any]) -> None:
    """Refuse files that are not those that the run is named by."""
    paths = [file_of(visual) for visual in visuals]
    known = paths and all(path is not None and path.is_file() for path in paths)
    if known and print_of(document, pixels_of(visuals)) != document.fingerprint:
        raise WinnowError("its files changed since the run began: run the same command again")


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
    _free_memory()  # outside of the handler, as the traceback holds on to the tensors
    middle = (len(prompts) + 1) // 2
    return [row for half in (prompts[:middle], prompts[middle:]) for row in _answer_batch(work, loaded, half, None)]


def _free_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

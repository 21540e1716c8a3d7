"""Opens, decodes and encodes the documents to come, while the model answers those before."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from winnow.harness.common.spent import Spent
from winnow.harness.data.ahead import Ahead
from winnow.harness.data.document import Document, print_of
from winnow.harness.data.media import make_prompt, name_of
from winnow.harness.data.pixels import file_of, pixels_of
from winnow.harness.data.stress import Stress
from winnow.harness.data.video.clip import Clip
from winnow.harness.run.cell_run import CellRun
from winnow.harness.run.generate import Batch, prepare
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded
from winnow.reducers.core.errors import WinnowError


@dataclass(eq=False)
class Prepared:
    """Documents as the model takes them.

    Attributes
    ----------
    prompts : list of (Document, Prompt)
        Those that can be shown.
    broken : list of (Document, BaseException)
        Those that cannot, and why.
    seen : dict
        What rows tell of the media of each.
    batch : Batch or None
        All prompts together; None if they cannot be encoded so, as then each is tried by itself.
    """

    prompts: list[tuple[Document, Prompt]] = field(default_factory=list)
    broken: list[tuple[Document, BaseException]] = field(default_factory=list)
    seen: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    batch: Batch | None = None


class Preparer:
    """Prepares in a thread of its own, in the order in which it is asked.

    Parameters
    ----------
    ahead : Ahead
    spent : Spent
    stress : Stress
        What becomes of the documents before they are encoded.
    """

    def __init__(self, ahead: Ahead, spent: Spent, stress: Stress) -> None:
        self.ahead, self.spent, self.stress = ahead, spent, stress
        self._thread = ThreadPoolExecutor(1, "prepare")

    def begin(self, works: Sequence[CellRun], documents: Sequence[Document], loaded: Loaded) -> Future[Prepared]:
        """Begin to prepare some documents for those cells that lack an answer to them."""
        shown = [(document, self._look(document)) for document in documents]
        wanted = [(work, missing) for work in works if (missing := work.missing(documents))]
        return self._thread.submit(self._prepare, wanted, shown, loaded)

    def close(self) -> None:
        """Let go of what has not begun."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _look(self, document: Document) -> list[Any] | BaseException:
        """What a document shows; asked here, as tasks' code is not made for threads."""
        try:
            with self.spent.on("prepare"):
                return self.ahead.visuals(document)
        except (Exception, SystemExit) as error:
            return error  # a task that exits the interpreter over a missing file fails like others

    def _prepare(
        self,
        wanted: Sequence[tuple[CellRun, set[tuple[str, int]]]],
        shown: Sequence[tuple[Document, list[Any] | BaseException]],
        loaded: Loaded,
    ) -> Prepared:
        with ExitStack() as notes:
            for work, missing in wanted:
                notes.enter_context(work.journal.begun(missing))
            found = Prepared()
            for document, visuals in shown:
                try:
                    self._prompt(found, document, visuals)
                except Exception as error:
                    found.broken.append((document, error))
                finally:
                    self.ahead.done(document)
            with self.spent.on("prepare"):
                found.batch = _try_encode(loaded, found.prompts)
        return found

    def _prompt(self, found: Prepared, document: Document, visuals: list[Any] | BaseException) -> None:
        if isinstance(visuals, BaseException):
            found.broken.append((document, visuals))
            return
        clips: list[Clip] = []

        def sample(path: Path, frames: int, until: int | None) -> Clip:
            clips.append(self.ahead.sample(path, frames, until))
            return clips[-1]

        _check(document, visuals)
        facts = found.seen[document.task, document.doc_id] = {"media": name_of(visuals)}
        text, frames = self.stress.text(document), self.ahead.frames
        prompt = make_prompt(text, visuals, frames, self.stress.sample(sample))
        prompt = replace(prompt, then=self.stress.then(document))
        found.prompts.append((document, self.stress.prompt(prompt)))
        damage = next((clip.damage for clip in clips if clip.damage), "")
        facts |= {"readers": [clip.reader for clip in clips], "damage": damage}


def _check(document: Document, visuals: Sequence[Any]) -> None:
    """Refuse files that are not those that the run is named by."""
    paths = [file_of(visual) for visual in visuals]
    known = paths and all(path is not None and path.is_file() for path in paths)
    if known and print_of(document, pixels_of(visuals)) != document.fingerprint:
        raise WinnowError("its files changed since the run began: run the same command again")


def _try_encode(loaded: Loaded, prompts: Sequence[tuple[Document, Prompt]]) -> Batch | None:
    try:
        documents = [document for document, _ in prompts]
        return prepare(loaded, documents, [prompt for _, prompt in prompts]) if prompts else None
    except Exception:
        free_memory()
        return None


def free_memory() -> None:
    """Give back what the GPU holds for nobody."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()

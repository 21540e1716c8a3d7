"""One prompt on blank media before the first document: what no document could survive is one line at the start."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
from PIL import Image

from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.data.document import Document
from winnow.harness.run.cell_run import CellRun
from winnow.harness.run.generate import answer, encode
from winnow.models.engine.reuse import fresh_tower
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.none import NoReduction


class Preflight:
    """Tries the first prompt of each form once: as many pictures, and videos of as many frames, are of one form."""

    def __init__(self) -> None:
        self._flown: set[tuple[int, tuple[int, ...]]] = set()

    def __call__(self, loaded: Loaded, document: Document, prompt: Prompt) -> None:
        """Try a prompt of a form that was not tried yet; see `preflight`."""
        form = len(prompt.images), tuple(map(len, prompt.videos))
        if form not in self._flown:
            preflight(loaded, document, prompt)
            self._flown.add(form)


def preflight(loaded: Loaded, document: Document, prompt: Prompt) -> None:
    """Let processor and unreduced model answer one token to a document's prompt, with its media blank.

    A checkpoint without patch size, pad token or chat template, with another image size, or that needs more frames than
    it gets, fails here and not at each document.

    Raises
    ------
    WinnowError
        Names the task and what went wrong.
    """
    try:
        _try(loaded, NoReduction(), document, prompt)
    except Exception as error:
        reason = first_line(root_cause(error))
        raise WinnowError(f"the model cannot answer {document.task}, even about blank media: {reason}") from error


def stop_failing(works: Sequence[CellRun], loaded: Loaded, document: Document, prompt: Prompt) -> None:
    """Let methods that load weights of their own answer likewise, and stop the runs of those that cannot.

    A checkpoint that cannot be had is then asked for once, and the other runs go on.
    """
    for work in works:
        if not work.run.cell.method.loads:
            continue
        try:
            _try(loaded, work.built.reducer, document, prompt)
        except Exception as error:
            work.stopped = f"it cannot answer {document.task}, even about blank media: {first_line(root_cause(error))}"


def _try(loaded: Loaded, reducer: Reducer, document: Document, prompt: Prompt) -> None:
    blank = replace(
        prompt,
        videos=[np.zeros(video.shape, video.dtype) for video in prompt.videos],
        images=[Image.new("RGB", image.size) for image in prompt.images],
    )
    length = {"max_new_tokens": 1, "min_new_tokens": 1}
    first = replace(document, generation=document.generation | length)
    with ExitStack() as stack:  # what the tower remembers is of documents
        for tower, _ in loaded.family.parts(loaded.model).towers:
            stack.enter_context(fresh_tower(tower))
        answer(loaded, reducer, encode(loaded, [first], [blank]), seed=0)

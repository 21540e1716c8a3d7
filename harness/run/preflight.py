"""One prompt on blank media before the first document: what no document could survive is one line at the start."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

import numpy as np
from PIL import Image

from winnow.harness.common.errors import first_line, root_cause
from winnow.harness.data.document import Document
from winnow.harness.run.generate import answer, encode
from winnow.models.engine.reuse import fresh_tower
from winnow.models.families.prompt import Prompt
from winnow.models.loading.load import Loaded
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
    blank = replace(
        prompt,
        videos=[np.zeros(video.shape, video.dtype) for video in prompt.videos],
        images=[Image.new("RGB", image.size) for image in prompt.images],
    )
    length = {"max_new_tokens": 1, "min_new_tokens": 1}
    first = replace(document, generation=document.generation | length)
    try:
        with ExitStack() as stack:  # what the tower remembers is of documents
            for tower, _ in loaded.family.parts(loaded.model).towers:
                stack.enter_context(fresh_tower(tower))
            answer(loaded, NoReduction(), encode(loaded, [first], [blank]), seed=0)
    except Exception as error:
        reason = first_line(root_cause(error))
        raise WinnowError(f"the model cannot answer {document.task}, even about blank media: {reason}") from error

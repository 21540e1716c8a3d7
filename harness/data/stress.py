"""The same documents in a way that a method should not mind: another order, a trace of noise, another's question."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from PIL import Image

from winnow.harness.config.schema import StressConfig
from winnow.harness.data.document import Document
from winnow.harness.data.media import Sample
from winnow.models.families.prompt import Prompt

QUALITY = 75
"""Of the JPEG that every frame is encoded as once more."""
Change = Callable[[Image.Image], Image.Image]


class Stress:
    """What becomes of the documents of a task.

    Parameters
    ----------
    asked : StressConfig
    documents : sequence of Document
        All of the task, in document order.
    """

    def __init__(self, asked: StressConfig, documents: Sequence[Document]) -> None:
        self.asked = asked
        self._next = {one.doc_id: other.text for one, other in zip(documents, _turned(documents), strict=True)}

    def ordered(self, documents: Sequence[Document]) -> list[Document]:
        """The documents in the order in which they are answered."""
        found = [*documents]
        if self.asked.order is not None:
            random.Random(self.asked.order).shuffle(found)  # noqa: S311 - an order is no secret
        return found

    def text(self, document: Document) -> str:
        """What is asked about a document's pictures."""
        return document.text if self.asked.question == "own" else self._next[document.doc_id]

    def then(self, document: Document) -> str:
        """What is asked behind that, in the same conversation, and is what the answer is to; empty: nothing."""
        return document.text if self.asked.turns > 1 else ""

    def sample(self, sample: Sample) -> Sample:
        """Another way to take frames of a video, if frames are to be others: those up to one earlier."""
        if self.asked.media != "jitter":
            return sample
        return lambda path, frames, until: sample(path, frames, max(0, sample(path, frames, until).indices[-1] - 1))

    def prompt(self, prompt: Prompt) -> Prompt:
        """A prompt whose pixels are changed by no more than a viewer would notice."""
        change = CHANGES.get(self.asked.media or "")
        if change is None:
            return prompt
        videos = [np.stack([np.asarray(change(Image.fromarray(one))) for one in video]) for video in prompt.videos]
        return replace(prompt, videos=videos, images=[change(one) for one in prompt.images])


def _turned(documents: Sequence[Document]) -> list[Document]:
    """Each document's next one, as the question of another; the last one's is the first."""
    return [*documents[1:], *documents[:1]]


def encoded(picture: Image.Image) -> Image.Image:
    """Encode a picture as JPEG and decode it."""
    place = io.BytesIO()
    picture.save(place, "JPEG", quality=QUALITY)
    return Image.open(place).convert("RGB")


def shifted(picture: Image.Image) -> Image.Image:
    """Shift a picture by one pixel to the right; its first column stands twice."""
    pixels = np.asarray(picture)
    return Image.fromarray(np.concatenate([pixels[:, :1], pixels[:, :-1]], axis=1))


CHANGES: Mapping[str, Change] = {"reencode": encoded, "shift": shifted}

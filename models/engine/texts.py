"""Whose text belongs to which frame, for methods that compare what the vision tower sees with the words of the prompt.

The tower takes the frames of all prompts in one row, in `generate` before any forward has laid the prompts out.
"""

from __future__ import annotations

from collections.abc import Sequence

from winnow.models.engine.prefill import per_sequence
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Layout


class Texts:
    """The texts of a batch.

    Parameters
    ----------
    texts : sequence of str
        One per prompt; empty: nobody said.
    reader : str
        Who reads them; empty: nobody does.
    """

    def __init__(self, texts: Sequence[str], reader: str = "") -> None:
        if isinstance(texts, str):
            raise WinnowError(f"texts={texts!r} is one text: give a list with one per prompt")
        self.texts, self.reader = texts, reader
        self._layouts: Sequence[Layout] = ()

    def expect(self, layouts: Sequence[Layout], later: bool) -> None:
        """Remember the prompts whose pictures come next; those of a later turn have no text of their own."""
        if self.reader and later and any(layout.spans for layout in layouts):
            raise UnsupportedError(
                f"reducer={self.reader} compares pictures with the text of the first turn, so that a later one can "
                "bring none: pass the conversation as one prompt"
            )
        self._layouts = layouts

    def of_frames(self, frames: int, tower: int) -> list[str]:
        """The text of each of the frames that a tower encodes; of another number where prompts' pictures go apart.

        Raises
        ------
        WinnowError
            If there are no texts, or not one for each prompt.
        """
        if not self.texts:
            raise WinnowError(
                f"reducer={self.reader} compares pictures with the text of their prompt: attach(..., texts=[...]) "
                "takes one per prompt"
            )
        layouts = self._layouts
        copies = max(1, len(layouts) // len(self.texts))
        texts = per_sequence(self.texts, len(layouts), copies, "texts")
        counts = [sum(len(span.cells) for span in layout.spans if span.tower == tower) for layout in layouts]
        step = copies if sum(counts[::copies]) == frames else 1
        return [text for text, count in zip(texts[::step], counts[::step], strict=True) for _ in range(count)]

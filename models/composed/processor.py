"""Prompts and frames of composed models, as tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, ProcessorMixin

from winnow.reducers.core.errors import WinnowError

PLACE = "<image>"


class ComposedProcessor(ProcessorMixin):
    """Turns texts with one ``<image>`` for each picture, and the pictures' frames, into a batch.

    Parameters
    ----------
    image_processor, tokenizer
        Of the tower and of the LLM.
    image_token_id : int
        See `ComposedConfig`.
    tokens : int
        Placeholders of a frame.
    frames : int
        How many frames the model makes of any picture, 0 for as many as there are. Fewer are repeated each in its place
        as PLLaVA does it, more are an error.
    between : str
        Text between two frames.
    """

    def __init__(
        self,
        image_processor: Any,
        tokenizer: Any,
        image_token_id: int = 0,
        tokens: int = 0,
        frames: int = 0,
        between: str = "",
        chat_template: str | None = None,
    ) -> None:
        self.image_token_id, self.tokens, self.frames, self.between = image_token_id, tokens, frames, between
        super().__init__(image_processor, tokenizer, chat_template=chat_template)

    def __call__(self, texts: Sequence[str], pictures: Sequence[Sequence[Any]]) -> BatchFeature:
        """Encode a batch, padded on the left.

        Parameters
        ----------
        texts : sequence of str
            One per prompt.
        pictures : sequence
            Per prompt its pictures, each a sequence of frames.
        """
        indices = [[self._index(len(picture)) for picture in each] for each in pictures]
        ids = [self._ids(text, [len(i) for i in each]) for text, each in zip(texts, indices, strict=True)]
        batch = dict(self.tokenizer.pad({"input_ids": ids}, padding=True, return_tensors="pt"))
        if any(indices):
            rows = [self._pixels(each, taken) for each, taken in zip(pictures, indices, strict=True)]
            batch["pixel_values"] = torch.nn.utils.rnn.pad_sequence(
                [torch.cat(row) if row else torch.empty(0, *next(r for r in rows if r)[0].shape[1:]) for row in rows],
                batch_first=True,
            )
            counts = [torch.tensor([len(i) for i in each], dtype=torch.long) for each in indices]
            batch["frames"] = torch.nn.utils.rnn.pad_sequence(counts, batch_first=True)
        return BatchFeature(batch)

    def _index(self, given: int) -> Tensor:
        """Which of the given frames stands in each place."""
        wanted = self.frames or given
        if given > wanted:
            raise WinnowError(f"{given} frames were given, but this model takes {wanted}: say model.frames={wanted}")
        times = 1 if given == wanted else wanted // given + 1
        return torch.arange(given).repeat_interleave(times)[:wanted]

    def _pixels(self, pictures: Sequence[Any], indices: Sequence[Tensor]) -> list[Tensor]:
        encoded = [self.image_processor(list(picture), return_tensors="pt")["pixel_values"] for picture in pictures]
        return [pixels[index] for pixels, index in zip(encoded, indices, strict=True)]

    def _ids(self, text: str, counts: Sequence[int]) -> list[int]:
        """Token ids; text between pictures is tokenised piece by piece, as LLaVA's code does it."""
        first, *others = text.split(PLACE)
        if len(others) != len(counts):
            raise WinnowError(
                f"{len(others)} {PLACE} in the prompt for {len(counts)} pictures: the text must hold none"
            )
        ids = list(self.tokenizer(first)["input_ids"])
        between = self._plain(self.between) if self.between else []
        frame = [self.image_token_id] * self.tokens
        for piece, count in zip(others, counts, strict=True):
            ids += frame + (between + frame) * (count - 1) + (self._plain(piece) if piece else [])
        return ids

    def _plain(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

"""Logits by the places that tokens had before any was dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from winnow.models.engine.ledger import Held
from winnow.reducers.core.errors import UnsupportedError


def columns(wanted: Any) -> int | Tensor | None:
    """What ``logits_to_keep`` asks for: a number, or the places of columns.

    Raises
    ------
    UnsupportedError
        For anything else than a number, and a list or 1-D array of whole numbers.
    """
    if wanted is None or (isinstance(wanted, int) and not isinstance(wanted, bool)):
        return wanted
    places = torch.as_tensor(wanted) if isinstance(wanted, Tensor | list | tuple | np.ndarray) else torch.zeros(0)
    if places.ndim != 1 or not len(places) or places.dtype == torch.bool or places.is_floating_point():
        raise UnsupportedError(f"logits_to_keep={wanted}: give a number, or a 1-D tensor with the numbers of columns")
    return places


@dataclass(frozen=True, eq=False)
class Final:
    """What the last layer left of a forward.

    Parameters
    ----------
    rows : Held or None
        The tokens; None: all.
    start, new : int
        Tokens held before, and brought.
    """

    rows: Held | None
    start: int
    new: int

    def places(self, wanted: Tensor) -> Tensor:
        """Where columns of what was brought stand now, ``(batch, wanted)``.

        Raises
        ------
        UnsupportedError
            If one of them was dropped, or never given.
        """
        wanted = wanted.cpu().long()
        wanted = torch.where(wanted < 0, wanted + self.new, wanted)
        if bool(((wanted < 0) | (wanted >= self.new)).any()):
            raise UnsupportedError(f"logits_to_keep asks for columns that are not among the {self.new} given")
        if self.rows is None:
            return wanted[None]
        match = (self.rows.columns[:, :, None] - self.start == wanted) & self.rows.valid[:, :, None]
        if not bool(match.any(1).all()):
            raise UnsupportedError("logits_to_keep asks for tokens that were dropped: ask for text behind the pictures")
        return match.long().argmax(1)


def picked(hidden: Tensor, wanted: int | Tensor | None, final: Final | None) -> Tensor:
    """Hidden states of the tokens that ``logits_to_keep`` names, from those of all tokens left.

    Parameters
    ----------
    hidden : Tensor
        Shape ``(batch, n, width)``; for a number its last so many columns alone.
    wanted : int, Tensor or None
        The argument.
    final : Final or None
        What the last layer left.
    """
    if final is None or wanted is None:
        return hidden
    if isinstance(wanted, int):
        if wanted > 1 and final.rows is not None:
            final.places(torch.arange(max(0, final.new - wanted), final.new))
        return hidden[:, -wanted:] if 0 < wanted < hidden.shape[1] else hidden  # Gemma 4 leaves it to us
    places = final.places(wanted).to(hidden.device).expand(len(hidden), -1)
    return hidden.gather(1, places[..., None].expand(-1, -1, hidden.shape[2]))

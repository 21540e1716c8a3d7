"""The oracle of synthetic data: rank by what the question is about. Shows that an instrument can tell methods apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from winnow.reducers.core.base import Scorer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.layout import Scope
from winnow.reducers.core.reduction import View

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Oracle(Scorer):
    """Keep the tokens of the asked object, the rest at random; ``select=lowest`` is the anti-oracle.

    Parameters
    ----------
    scope : {"prompt", "span"}
        Among all visual tokens of the prompt, or in each span.
    """

    seeded: ClassVar[bool] = True
    needs_relevance: ClassVar[bool] = True

    scope: Scope = "prompt"

    def score(self, view: View) -> Tensor:
        """See `Scorer.score`.

        Raises
        ------
        UnsupportedError
            If the data do not say which visual tokens matter.
        """
        layout = view.layout
        if layout.relevance is None:
            raise UnsupportedError("reducer=oracle needs documents with a 'relevance' column: use a pico task")
        relevance = torch.zeros(layout.length)
        relevance[layout.visual] = layout.relevance.float()
        tie_break = torch.rand(layout.length, generator=layout.generator("oracle"))
        return (relevance + tie_break * 0.5)[view.visual]

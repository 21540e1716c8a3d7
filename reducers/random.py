"""Random dropping: the control that a score has to beat at the same layer and budget."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch

from winnow.reducers.core.base import Scorer
from winnow.reducers.core.layout import Scope
from winnow.reducers.core.reduction import View

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RandomDrop(Scorer):
    """Keep a uniform sample of the visual tokens, drawn from the sample's key.

    Parameters
    ----------
    scope : {"prompt", "span"}
        A sample of all visual tokens of the prompt, as many as FastV keeps, or an equal share of each span.
    """

    seeded: ClassVar[bool] = True

    scope: Scope = "prompt"

    def score(self, view: View) -> Tensor:
        """See `Scorer.score`."""
        noise = torch.rand(view.layout.length, generator=view.layout.generator("random"))
        return noise[view.visual]

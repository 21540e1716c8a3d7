"""MMTok: keep the tokens that together cover both the text and the picture.

Dong et al., "MMTok: Multimodal Coverage Maximization for Efficient Inference of VLMs" (ICLR 2026); official code. For
LLaVA it covers the words of the question without stop words and answer instructions, for Qwen all tokens of the
question; it compares visual tokens among themselves by the tower's states in front of the projector, on Qwen the means
of those that are merged. The form here covers all text behind the pictures, the template's tokens among it, as methods
see tokens and no words, and compares the features that enter the LLM.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import torch

from winnow.reducers.core.entrance import Chooser
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import coverage, unit
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.reduction import View
from winnow.reducers.core.released import Released
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class MMTok(Released, Chooser):
    """Pick again and again the token that adds most to a coverage; ties go to the lower place.

    What is to be covered: each text token by the softmax over the span of its cosines, and each visual token likewise.
    A token covers each as well as the best of the picks does.

    Parameters
    ----------
    ratio : float
        Share of each span's tokens that enters the LLM, rounded down, at least one token. Official for Qwen: 0.2.
    alpha : float
        Weight of the visual tokens' mean coverage beside the text's.
    text : float
        Temperature of the text's softmax. Official: 0.01 in what calls it, 0.02 by itself.
    vision : float
        Temperature of the visual tokens' softmax.
    positions : {"keep", "compact"}
        Official: keep on Qwen, compact on LLaVA.
    """

    ratio: float = 0.2
    alpha: float = 0.5
    text: float = 0.01
    vision: float = 0.2
    positions: Literal["keep", "compact"] = "keep"

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        if self.alpha < 0 or min(self.text, self.vision) <= 0:
            numbers = f"alpha={self.alpha}, text={self.text} or vision={self.vision}"
            raise WinnowError(f"reducer.{numbers} is not allowed: choose temperatures above 0 and alpha >= 0")
        super().__post_init__()

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return min(present, max(1, int(grid.tokens * self.ratio)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: all pairs once by cosine, then some tokens against all pairs for each pick."""
        return 2 * grid.tokens**2 * (width.hidden + self.count(site, grid, present) // 8)

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """See `Chooser.choose`."""
        where = view.layout.is_question[view.index]
        text = view.hidden[where.to(view.hidden.device)].to(tokens.dtype)
        key, count = ("mmtok", self.alpha, self.text, self.vision), self.count(view.site, span.grid, len(tokens))
        return view.ranked(key, count, lambda wanted: self._rank(unit(tokens), unit(text), wanted)).sort().values

    def _rank(self, tokens: Tensor, text: Tensor, count: int) -> Tensor:
        """The first picks."""
        asked = (tokens @ text.mT / self.text).softmax(0) / max(1, len(text))
        shown = (tokens @ tokens.mT).sub_(1).div_(self.vision).exp_()
        shown *= self.alpha / len(tokens) / shown.sum(0)
        stands = torch.cat([asked, shown], 1)
        return coverage(stands, count, stands.new_ones(len(stands)))

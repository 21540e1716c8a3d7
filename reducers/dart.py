"""DART: drop what is duplicated. From a few pivot tokens, keep the tokens least like them.

Wen et al., "Stop Looking for Important Tokens in Multimodal Language Models: Duplication Matters More" (EMNLP 2025),
section 3. This is the form that needs embeddings alone, `pruned_layer=0` of the official repository, by the rule of
TensorRT-Edge-LLM. The paper acts at layer 2 and compares states behind the LLM's final norm, which methods do not see.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import check_ratio, top
from winnow.reducers.core.entrance import Chooser
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import unit
from winnow.reducers.core.layout import Grid, Scope, Span, Width
from winnow.reducers.core.reduction import View
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DART(Chooser):
    """Keep the pivots among the tokens; then each pivot adds an equal part of those with the lowest cosine to it.

    Pivots are the tokens with the largest L1 norm, visual ones first, then those of the text, which all spans share.
    Ties go to the lower place. A part is rounded up and taken from what is still missing, so the budget is met; the
    official loop takes ``int(n (1 - R) / 8)`` per pivot instead, in the order of a Python set. The engine leaves
    prompts of fewer than 16 visual tokens alone.

    Parameters
    ----------
    ratio : float
        Share of the visual tokens that enters the LLM, rounded up.
    R : float or None
        The paper's knob, the share that is REMOVED; wins over `ratio`.
    pivots : int
        Pivots among the visual tokens, or those of a span; at most its budget.
    text_pivots : int
        Pivots among the tokens of the prompt that are not visual. They are never dropped.
    at : {"embedding"}
        Which form of the method this is: see above.
    positions : {"keep", "compact"}
        Official and engine: keep.
    scope : {"prompt", "span"}
        Engine: all visual tokens of the prompt, with pivots in common; or each span on its own.
    """

    native: ClassVar[tuple[str, ...]] = ("R",)

    R: float | None = None
    pivots: int = 4
    text_pivots: int = 4
    at: Literal["embedding"] = "embedding"
    scope: Scope = "prompt"

    def __post_init__(self) -> None:
        """Turn R into the share kept, check the numbers."""
        if self.R is not None:
            check_ratio(1 - self.R, "1-R")
            object.__setattr__(self, "ratio", 1 - self.R)
        for name, least in (("pivots", 1), ("text_pivots", 0)):
            if getattr(self, name) < least:
                raise WinnowError(f"reducer.{name}={getattr(self, name)} is not allowed: choose {least} or more tokens")
        super().__post_init__()

    def keep_all(self) -> DART:
        """See `Reducer.keep_all`."""
        return replace(self, R=None, ratio=1.0)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return min(present, max(1, math.ceil(grid.tokens * self.ratio)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: two norms per token, one cosine per token and pivot."""
        return (4 + 2 * (self.pivots + self.text_pivots)) * present * width.hidden

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """See `Chooser.choose`."""
        target = self.count(view.site, span.grid, len(tokens))
        visual = view.layout.is_visual[view.index].to(tokens.device)
        text = view.hidden[~visual].to(tokens.dtype)
        own = _longest(tokens, min(self.pivots, target))
        pivots = torch.cat([tokens[own], text[_longest(text, self.text_pivots)]])
        alike = (unit(tokens) @ unit(pivots).mT).T.cpu()
        kept = torch.zeros(len(tokens), dtype=torch.bool).index_fill_(0, own.cpu(), True)
        for number, row in enumerate(alike):
            missing = target - int(kept.sum())
            part = -(-missing // (len(alike) - number))
            others = (~kept).nonzero().flatten()
            kept[others[top(-row[others], part)]] = True
        return kept.nonzero().flatten()


def _longest(tokens: Tensor, count: int) -> Tensor:
    """Places of the tokens with the largest L1 norms, the largest first."""
    return tokens.abs().sum(1).sort(descending=True, stable=True).indices[:count]

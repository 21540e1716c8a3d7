"""DivPrune: keep the visual tokens that are farthest from each other, whatever the question is.

Alvar et al., "DivPrune: Diversity-based Visual Token Pruning for Large Multimodal Models" (CVPR 2025), Algorithm 1;
official `llava_arch.py` (vbdi/divprune). The paper solves a max-min diversity problem greedily, and so does the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from winnow.reducers.core.entrance import Chooser, Variant
from winnow.reducers.core.greedy import max_min
from winnow.reducers.core.layout import Grid, Scope, Span, Width
from winnow.reducers.core.reduction import View
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class DivPrune(Chooser):
    """Pick tokens one by one, each time the one whose nearest pick is farthest, by 1 - cosine.

    Parameters
    ----------
    ratio : float
        Share of the visual tokens that enters the LLM. Paper: 0.098, 56 of 576.
    variant : {"mended", "official"}
        The official code compares in the model's own type, and forgets what it has picked: once only duplicates of
        picks are left, it picks a token again, and the token then stands in the prompt twice. Mended: every token is
        picked once, by cosines in single precision.
    positions : {"compact", "keep"}
        Official: compact.
    scope : {"prompt", "span"}
        Official: among all visual tokens of the prompt, so all tiles of a picture; or in each span.
    """

    ratio: float = 0.098
    variant: Variant = "mended"
    positions: Literal["keep", "compact"] = "compact"
    scope: Scope = "prompt"

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: all pairs once, then a minimum over the tokens per pick."""
        return 2 * present**2 * width.hidden + 2 * present * self.count(site, grid, present)

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """See `Chooser.choose`."""
        count, again = self.count(view.site, span.grid, len(tokens)), self.variant == "official"
        tokens = tokens.to(view.hidden.dtype) if again else tokens
        return view.ranked(("max_min", again), count, lambda n: max_min(tokens, n, again)).sort().values

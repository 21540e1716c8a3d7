"""AIM pruning: from a middle layer on, layer by layer, drop the visual tokens that the attention graph ranks last.

Zhong et al., "AIM" (ICCV 2025), section 3.2; official `modeling_qwen2.py`. A layer's importance is five steps of
PageRank on its attention, sharpened by a temperature; the share kept falls by a straight line between two layers. The
official code hides pruned tokens by a mask, so that their dead rows go on voting; here they are gone and vote no more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import torch

from winnow.reducers.core.base import Ranker, top
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Layout, Scope
from winnow.reducers.core.probes import PageRank, Probe
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.released import Released
from winnow.reducers.core.schedule import Window
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor

NEVER = Window(1, 1, of=1)
"""The window that begins behind the last layer of any depth."""


@dataclass(frozen=True)
class AIMPrune(Released, Ranker):
    """Keep the share ``1 - (l - l1 + 1) / (l2 - l1)`` of the tokens that entered the LLM, ranked by importance.

    Parameters
    ----------
    ratio : None
        Has no meaning for pruning alone.
    apply : {"next", "same"}
        The share of layer l holds from the input of layer l+1 on, as executed by the official code, whose importance
        comes from layer l's own attention; or of layer l itself, as the paper's FLOPs assume, with the importance of
        layer l-1.
    slope : float or None
        Share dropped per layer, instead of ``1 / (l2 - l1)``; 0.0125 explains the FLOPs printed in AIM's joint table.
    temperature : float
        Sharpens the attention that is ranked.
    iterations : int
        Steps of PageRank.
    prune : {"visual", "text", "question"}
        The ablation prunes text instead: all of it, or what stands behind the visual tokens. The first and the last
        token of the prompt stay.
    scope : {"prompt", "span"}
        Rank all visual tokens of the prompt together (the official code knows one block), or those of each span.
    schedule : Window
        Paper: l1=14, l2=22 of 28 layers; 13 and 21 of 32.
    """

    ratio: float | None = None
    apply: Literal["next", "same"] = "next"
    slope: float | None = None
    temperature: float = 0.1
    iterations: int = 5
    prune: Literal["visual", "text", "question"] = "visual"
    scope: Scope = "prompt"
    schedule: Window = Window(14, 22, of=28)

    def __post_init__(self) -> None:
        """Refuse a ratio and a slope that are none, then check the choices."""
        if self.ratio is not None:
            raise WinnowError(
                f"ratio={self.ratio} means nothing to pruning alone: set schedule.l1 and schedule.l2, or ask "
                "reducer=aim for a ratio or a budget"
            )
        if self.slope is not None and self.slope <= 0:
            raise WinnowError(f"reducer.slope={self.slope} is not allowed: choose a share per layer, slope > 0")
        super().__post_init__()

    def keep_all(self) -> AIMPrune:
        """See `Reducer.keep_all`."""
        return replace(self, schedule=NEVER)

    def share(self, layer: int, depth: int) -> float:
        """Share of the candidates that is left at the input of `layer`."""
        window = self.schedule.resolve(depth)
        first = window.l1 + (self.apply == "next")
        slope = self.slope or 1 / max(1, window.l2 - window.l1)
        return max(0.0, 1 - max(0, layer - first + 1) * slope)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`: where the share falls."""
        falls = (layer for layer in range(1, depth) if self.share(layer, depth) < self.share(layer - 1, depth))
        return tuple(Site.layer(layer, depth) for layer in falls)

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`."""
        return tuple((self._probe, site.number - 1) for site in self.sites(depth))

    @property
    def _probe(self) -> PageRank:
        return PageRank(self.temperature, self.iterations)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: rounded down, none left in the end."""
        return min(present, self._left(site, grid.tokens)) if self.prune == "visual" else present

    def _left(self, site: Site, candidates: int) -> int:
        return int(candidates * self.share(site.number, site.depth) + 1e-6)

    def score(self, view: View) -> Tensor:
        """See `Ranker.score`."""
        return view.signals[self._probe, view.layer - 1][view.visual]

    def reduce(self, view: View) -> Reduction:
        """See `Reducer.reduce`."""
        if self.prune == "visual":
            return super().reduce(view)
        candidates = self._text(view.layout)
        present = candidates[torch.isin(candidates, view.index)]
        score = view.signals[self._probe, view.layer - 1][present]
        kept = top(score if self.select == "highest" else -score, self._left(view.site, len(candidates)))
        gone = torch.ones(len(present), dtype=torch.bool).index_fill_(0, kept, False)
        return Reduction(view.visual, positions=self.positions, drop_text=present[gone])

    def _text(self, layout: Layout) -> Tensor:
        """Prompt indices of the text that the ablation may drop."""
        mask = ~layout.is_visual
        mask[layout.separators] = False
        text = layout.question if self.prune == "question" else mask.nonzero().flatten()
        return text[(text > 0) & (text < layout.length - 1)]

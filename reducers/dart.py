"""DART: drop what is duplicated. From a few pivot tokens, keep the tokens least like them.

Wen et al., "Stop Looking for Important Tokens in Multimodal Language Models: Duplication Matters More" (EMNLP 2025),
section 3; official `modeling_qwen2_vl_self.py`. There are two forms: at the embeddings, `pruned_layer=0`, by the rule
of TensorRT-Edge-LLM; and the paper's, at layer 2, which ranks by keys and compares states behind the LLM's final norm.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from ctypes import c_float
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch

from winnow.reducers.core.base import check_ratio, sites_of, top
from winnow.reducers.core.entrance import Chooser, Variant
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import unit
from winnow.reducers.core.layout import Grid, Scope, Span, Width
from winnow.reducers.core.probes import Keys, Probe
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor


class Tokens(NamedTuple):
    """Some tokens: their prompt indices, what is compared, and what is ranked by its L1 norm."""

    place: Tensor
    states: Tensor
    ranked: Tensor

    def longest(self, count: int) -> Tensor:
        """Places of those with the largest norms, the largest first."""
        return self.ranked.abs().sum(1).sort(descending=True, stable=True).indices[:count].cpu()


@dataclass(frozen=True)
class DART(Chooser):
    """Keep the pivots among the tokens; then each pivot adds an equal part of those with the lowest cosine to it.

    Pivots are the tokens with the largest L1 norm, visual ones first, then those of the text, which all spans share.
    Ties go to the lower place. The engine's rule is ``at=embedding`` with ``least=16``, and with ``parts=frame`` on
    models that write text between the frames of a video (Qwen3-VL's times), where each is a picture of its own to it.

    Parameters
    ----------
    ratio : float
        Share of the visual tokens that is left once the method has acted, rounded up.
    R : float or None
        The paper's knob, the share that is REMOVED; wins over `ratio`. At the embeddings in single precision, as the
        engine has it: 0.9 of 10 tokens leaves 2.
    pivots : int
        Pivots among the visual tokens, or those of a span; at most its budget.
    text_pivots : int
        Pivots among the tokens of the prompt that are not visual, at a layer those behind the visual ones. They are
        never dropped.
    at : {"embedding", "layer"}
        Which form; see above.
    variant : {"mended", "official"}
        The official loop takes ``int(n (1 - R) / pivots)`` tokens per pivot, beside the visual pivots, which is not the
        budget, in the order of a Python set of prompt indices. Mended, as the engine does it: visual pivots before
        text, each by falling norm, and a part is rounded up and taken from what is still missing.
    positions : {"keep", "compact"}
        Official and engine: keep.
    scope : {"span", "prompt"} or None
        Each span on its own, or all visual tokens of the prompt together. None: as the form, span at the embeddings
        (the engine: each picture has its own budget and pivots), prompt at a layer (the released code).
    parts : {"span", "frame"}
        At the embeddings: choose in a whole span, or in each of its frames with a budget and pivots of its own.
    least : int
        Fewer visual tokens in a prompt are left alone. Engine: 16.
    schedule : K
        The layer at whose input the paper's form acts.
    """

    native: ClassVar[tuple[str, ...]] = ("R",)

    R: float | None = None
    pivots: int = 4
    text_pivots: int = 4
    at: Literal["embedding", "layer"] = "embedding"
    variant: Variant = "mended"
    scope: Scope | None = None  # type: ignore[assignment]
    parts: Literal["span", "frame"] = "span"
    least: int = 0
    schedule: K = K(2)

    def __post_init__(self) -> None:
        """Turn R into the share kept, check the numbers."""
        if self.R is not None:
            check_ratio(1 - self.R, "1-R")
            removed = c_float(self.R).value if self.at == "embedding" else self.R
            object.__setattr__(self, "ratio", 1 - removed)
        for name, least in (("pivots", 1), ("text_pivots", 0), ("least", 0)):
            if getattr(self, name) < least:
                raise WinnowError(f"reducer.{name}={getattr(self, name)} is not allowed: choose {least} or more tokens")
        if self.scope is None:
            object.__setattr__(self, "scope", "span" if self.at == "embedding" else "prompt")
        if self.parts == "frame" and (self.at, self.scope) != ("embedding", "span"):
            raise WinnowError("reducer.parts=frame is of at=embedding, where each span stands alone: leave out scope")
        super().__post_init__()

    def keep_all(self) -> DART:
        """See `Reducer.keep_all`."""
        return replace(self, R=None, ratio=1.0)

    def plan(self, spans: Sequence[Grid | tuple[int, int]], depth: int, tower: Tower | None = None) -> list[int]:
        """See `Reducer.plan`."""
        few = sum(Grid(*span).tokens for span in spans) < self.least
        return super().plan(spans, depth, tower) if not few or self.ratio >= 1 else self.keep_all().plan(spans, depth)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return super().sites(depth) if self.at == "embedding" else sites_of(self.schedule, depth)

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`."""
        return tuple((Keys(rope=True), site.number - 1) for site in self.sites(depth) if site.kind == "layer")

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        if self.ratio >= 1:
            return present
        if self.variant == "official":
            return min(present, self.pivots + self._part(present) * (self.pivots + self.text_pivots))
        frames = grid.frames if self.parts == "frame" else 1
        return min(present, frames * max(1, math.ceil(grid.tokens // frames * self.ratio)))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: two norms per token, one cosine per token and pivot."""
        return (4 + 2 * (self.pivots + self.text_pivots)) * present * width.hidden

    def reduce(self, view: View) -> Reduction | None:
        """Choose in each span; at a layer among what is present."""
        if len(view.visual) < self.least:
            return None
        if self.at == "embedding" or self.ratio >= 1:
            return super().reduce(view)
        kept, text = [], _seen(view, view.layout.is_question[view.index])
        for span in view.layout.pools(self.scope or "prompt"):
            own = _seen(view, torch.isin(view.index, span.positions))
            kept.append(own.place[self._chosen(own, text, self.count(view.site, span.grid, len(own.place)))])
        return Reduction(torch.cat(kept), positions=self.positions)

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """See `Chooser.choose`."""
        other = ~view.layout.is_visual[view.index]
        text = view.hidden[other.to(tokens.device)].to(tokens.dtype)
        shared, size = Tokens(view.index[other], text, text), len(tokens) // self._alone(span)
        each = self.count(view.site, span.grid, len(tokens)) // self._alone(span)
        parts = zip(span.positions.split(size), tokens.split(size), strict=True)
        kept = [self._chosen(Tokens(place, own, own), shared, each) for place, own in parts]
        return torch.cat([found + number * size for number, found in enumerate(kept)])

    def _alone(self, span: Span) -> int:
        """Parts of a span that have a budget of their own."""
        return span.frames if self.parts == "frame" else 1

    def _part(self, present: int) -> int:
        """What each pivot adds in the official loop."""
        return int(present * self.ratio / (self.pivots + self.text_pivots))

    def _chosen(self, own: Tokens, text: Tokens, count: int) -> Tensor:
        """Places of the tokens that stay, ascending."""
        first, second = own.longest(min(self.pivots, count)), text.longest(self.text_pivots)
        pivots = torch.cat([own.states[first.to(own.states.device)], text.states[second.to(text.states.device)]])
        alike = (unit(own.states) @ unit(pivots).mT).T.cpu()
        names = [*own.place[first].tolist(), *text.place[second].tolist()]
        official = self.variant == "official"
        order = [names.index(name) for name in set(names)] if official else range(len(names))
        kept = torch.zeros(len(own.place), dtype=torch.bool).index_fill_(0, first, True)
        for turn, number in enumerate(order):
            part = self._part(len(kept)) if official else -(-(count - int(kept.sum())) // (len(names) - turn))
            others = (~kept).nonzero().flatten()
            kept[others[top(-alike[number][others], part)]] = True
        return kept.nonzero().flatten()


def _seen(view: View, mask: Tensor) -> Tokens:
    """Tokens at a layer: their states under the final norm, and their keys in the layer before."""
    exact = torch.promote_types(view.hidden.dtype, torch.float32)
    states = view.norm(view.hidden[mask.to(view.hidden.device)]).to(exact)
    keys = view.signals[Keys(rope=True), view.layer - 1]
    return Tokens(view.index[mask], states, keys[view.index[mask].to(keys.device)].flatten(1).to(exact))

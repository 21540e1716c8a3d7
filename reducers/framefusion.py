"""FrameFusion: merge what looks like the same place one frame earlier, layer after layer; then prune once by attention.

Fu et al., "FrameFusion: Combining Similarity and Importance for Video Token Reduction on Large Visual Language Models"
(ICCV 2025); official `framefusion/main.py`, for one video. Where its budget is spent before merging ends, the released
code stops with an error; here one token is left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

import torch

from winnow.reducers.core.base import Reducer, top
from winnow.reducers.core.entrance import Variant
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.matching import merge_into
from winnow.reducers.core.probes import Probe, Rows
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.released import settle
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor


OFFICIAL_LAYERS = 28


class State(NamedTuple):
    """How far a span has come: the share that each step has merged, and whether merging or pruning is still to come."""

    merged: tuple[float, ...] = ()
    merging: bool = True
    pruning: bool = True


@dataclass(frozen=True)
class FrameFusion(Reducer):
    """At the entrance, then behind the attention of every layer, merge tokens into the same place one frame earlier.

    A token merges where its cosine to the last one before it at its place is at least `tau`; a run of such tokens
    becomes the plain mean of itself and the token in front of it, and stands there. If more would merge than the budget
    asks for, the most similar ones do, and that is all. If it is less than `least` of the tokens, the next layer prunes
    what the budget still asks for, by the last token's attention, and that is all.

    Parameters
    ----------
    ratio : float
        The budget: mean over layers of the share of each span's visual tokens. Official: 0.3.
    tau : float
        Least cosine of tokens that merge.
    least : float
        Share of the tokens below which merging has come to its end.
    layers : int or None
        Layers of which `ratio` is the mean; None: the LLM's, official 28 for every LLM.
    variant : {"mended", "official"}
        By the layers that there are, or as released.
    positions : {"keep", "compact"}
        Official: keep.
    """

    adaptive: ClassVar[bool] = True

    ratio: float = 0.3
    tau: float = 0.6
    least: float = 0.1
    layers: int | None = None
    variant: Variant = "mended"
    positions: Literal["keep", "compact"] = "keep"

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        if not -1 <= self.tau <= 1 or not 0 <= self.least <= 1 or (self.layers is not None and self.layers < 1):
            numbers = f"tau={self.tau}, least={self.least} or layers={self.layers}"
            raise WinnowError(f"reducer.{numbers} is not allowed: choose a cosine, a share and 1 or more layers")
        settle(self, layers=(None, OFFICIAL_LAYERS))
        super().__post_init__()

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`: all before the last layer's own."""
        return (Site.entrance(depth), *(Site.inside(layer, depth) for layer in range(depth - 1)))

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`: any layer may turn out to be the one that prunes."""
        return tuple((Rows("last"), layer) for layer in range(depth - 1))

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: of a video in which nothing looks alike, which is pruned in the first layer."""
        pruned = site.kind == "inside" and not site.number and self.ratio < 1
        return _kept(present, self.share([0.0], site.depth)) if pruned else present

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: one cosine and two norms per token, until merging has ended."""
        return 6 * present * width.hidden if present > self.ratio * grid.tokens else 0.0

    def reduce(self, view: View) -> Reduction | None:
        """Merge or prune in each span."""
        spans = view.layout.spans
        states: list[State] = [State() for _ in spans] if view.told is None else view.told
        if self.ratio >= 1 or not any(state.merging or state.pruning for state in states):
            return None
        ends, after = zip(*map(self._step, spans, states, [view] * len(spans)), strict=True)
        kept = torch.cat(ends)
        if any(state.merging for state in states):
            answer = merge_into(kept, view.visual, self.positions) or Reduction(view.visual)
        else:
            answer = Reduction(kept[kept >= 0], positions=self.positions)
        return replace(answer, told=list(after))

    def share(self, merged: Sequence[float], depth: int) -> float:
        """Share of the tokens present that has to go to meet the budget at once, after what each step has merged."""
        layers, left, spent = self.layers or depth, 1.0, 0.0
        for gone in merged:
            left *= 1 - gone
            spent += left
        ahead = layers - len(merged)
        return 1 - min(1.0, max(0.0, (layers * self.ratio - spent) / (ahead * left))) if ahead > 0 else 0.0

    def _step(self, span: Span, state: State, view: View) -> tuple[Tensor, State]:
        """Prompt index at which each token of a span ends, -1 for one that is dropped; and how far the span is then."""
        here, share = span.positions[view.present(span)], self.share(state.merged, view.depth)
        if not len(here) or not (state.merging or state.pruning):
            return here, state
        if not state.merging:
            kept = top(view.signals[Rows("last"), view.layer][here], _kept(len(here), share))
            return torch.full_like(here, -1).index_copy_(0, kept, here[kept]), state._replace(pruning=False)
        cells = view.present(span).view(span.frames, -1).nonzero()
        order = (cells[:, 1] * span.frames + cells[:, 0]).argsort()
        alike = _alike(view, here[order], cells[order, 1])
        goes = alike >= self.tau
        part = int(goes.sum()) / len(here)
        if part < share:
            state = State((*state.merged, part), merging=part >= self.least)
        else:
            goes = torch.zeros_like(goes).index_fill_(0, top(alike, int(share * len(here))), True)
            state = State(state.merged, merging=False, pruning=False)
        head = torch.where(goes, 0, torch.arange(len(here))).cummax(0).values
        return here.index_copy(0, order, here[order[head]]), state


def _kept(present: int, share: float) -> int:
    """Tokens that pruning leaves, at least one."""
    return min(present, max(1, round(present * (1 - share))))


def _alike(view: View, tokens: Tensor, place: Tensor) -> Tensor:
    """Cosine of each token to the one in front of it, in the model's own type; -2 where that is of another place."""
    places = torch.searchsorted(view.index, tokens.contiguous())
    states = view.hidden[places.to(view.hidden.device)]
    length = states.norm(dim=1)
    cosine = (states[1:] * states[:-1]).sum(1) / (length[1:] * length[:-1])  # rounded as the released code rounds it
    alike = cosine.nan_to_num(0).cpu().masked_fill(place[1:] != place[:-1], -2)
    return torch.cat([alike.new_full((1,), -2), alike])

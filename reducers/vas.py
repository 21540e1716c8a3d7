"""VAS: visual attention shift. Drop whole frames or whole positions when the text's attention turns away from them.

Paper section 3 and Algorithm 1; no code was published. What the paper leaves open is an option here, with the choice
that explains the published Img-Memory columns as default: a drop is forced every `interval` layers from `start` on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Span
from winnow.reducers.core.probes import Probe, Rows
from winnow.reducers.core.reduction import Positions, Reduction, View
from winnow.reducers.core.schedule import Rounds
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

if TYPE_CHECKING:
    from torch import Tensor

HISTORY = 3
"""Layers of attention that a decision looks at: k-2, k-1 and k."""


@dataclass(frozen=True)
class VAS(Reducer):
    """Track per-frame and per-position attention of the text rows; drop the smallest ``X_k - X_(k-1) + X_(k-2)``.

    Parameters
    ----------
    ratio : float or None
        The floor that the forced rounds lead to, as a share of each span; sets the share dropped per round, and the
        last round is clipped so that no prompt falls below it. None: no floor, `r` alone counts.
    r : float or None
        Share of frames (or positions) dropped per round, the paper's r; wins over `ratio`. None: from `ratio`, or 0.3.
    trigger : float or None
        A round fires early when more than this share of frames (positions) lost attention twice in a row. None: the
        paper's single symbol r, that is `r` or 0.3; 1: never.
    both, forced : {"larger", "temporal", "spatial"}
        The axis when both conditions fire, and when a round is forced: that with the larger share of falling trends
        (a tie is temporal), or always the same.
    history : {"survivors", "reset"}
        After a drop, go on with the attention that the survivors had, or wait for three new layers.
    normalise : bool
        Divide each layer's values by their sum, as softmax mass is redistributed after a drop.
    final : {"keep", "drop"}
        ``drop`` removes all visual tokens that are left at layer `end`, the paper's fallback.
    rows : {"text", "last", "all"}
        Query rows that are tracked.
    schedule : Rounds
        First and last layer at whose input tokens may go, and the interval. Paper: up to 4 layers before the last;
        start=6 and interval=3 are fitted to its Table 4.
    """

    adaptive: ClassVar[bool] = True

    ratio: float | None = None
    r: float | None = None
    trigger: float | None = None
    both: Literal["larger", "temporal", "spatial"] = "larger"
    forced: Literal["larger", "temporal", "spatial"] = "larger"
    history: Literal["survivors", "reset"] = "survivors"
    normalise: bool = False
    final: Literal["keep", "drop"] = "keep"
    rows: Literal["text", "last", "all"] = "text"
    positions: Positions = "keep"
    schedule: Rounds = Rounds(start=6, end=-4, interval=3)

    def __post_init__(self) -> None:
        """Check the shares, then the choices."""
        if self.r is not None and not 0 <= self.r < 1:
            raise WinnowError(f"reducer.r={self.r} is not allowed: choose a share, 0 <= r < 1")
        if self.trigger is not None and not 0 <= self.trigger <= 1:
            raise WinnowError(f"reducer.trigger={self.trigger} is not allowed: choose a share, 0 <= trigger <= 1")
        super().__post_init__()

    def keep_all(self) -> VAS:
        """See `Reducer.keep_all`."""
        return replace(self, r=0.0, final="keep")

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`: the input of any layer of the window may turn out to be a round."""
        window = self.schedule.resolve(depth)
        if window.start < HISTORY:
            raise WinnowError(f"schedule.start={window.start} is too early: reducer=vas needs {HISTORY} layers before")
        return tuple(Site.layer(layer, depth) for layer in range(window.start, window.end + 1))

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`: every layer from three before the window to its end."""
        layers = [site.number for site in self.sites(depth)]
        return tuple((Rows(self.rows), layer) for layer in range(layers[0] - HISTORY, layers[-1])) if layers else ()

    def drop(self, depth: int) -> float:
        """Share of frames (or positions) that one round drops."""
        if self.r is not None:
            return self.r
        rounds = len(self.schedule.resolve(depth).forced())
        return 0.3 if self.ratio is None else 1 - self.ratio ** (1 / max(1, rounds))

    def knobs(self, depth: int) -> dict[str, object]:
        """See `Reducer.knobs`."""
        return super().knobs(depth) | {"r": round(self.drop(depth), 4), "trigger": self._trigger}

    @property
    def _trigger(self) -> float:
        return self.trigger if self.trigger is not None else self.r if self.r is not None else 0.3

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: forced rounds only, with fractions of frames allowed."""
        window = self.schedule.resolve(site.depth)
        if self.final == "drop" and site.number == window.end:
            return 0
        rounds = sum(due <= site.number for due in window.forced())
        return max(1, round(grid.tokens * (1 - self.drop(site.depth)) ** rounds)) if present else 0

    def reduce(self, view: View) -> Reduction | None:
        """Drop from each span what its own trends say."""
        window = self.schedule.resolve(view.depth)
        if self.final == "drop" and view.layer == window.end:
            return Reduction(view.visual[:0], positions=self.positions)
        masks = [self._keep(span, view, window) for span in view.layout.spans]
        kept = torch.cat([span.positions[mask] for span, mask in zip(view.layout.spans, masks, strict=True)])
        return None if len(kept) == len(view.visual) else Reduction(kept, positions=self.positions)

    def _keep(self, span: Span, view: View, window: Rounds) -> Tensor:
        """Which cells of the span stay, shape ``(frames * rows * cols,)``."""
        last = int(view.removed_at[span.positions].max())
        due = view.layer - (last if last >= 0 else window.start - window.interval) >= window.interval
        cells = view.present(span).view(span.frames, -1)
        frames, cols = cells.any(1).nonzero().flatten(), cells.any(0).nonzero().flatten()
        attention = self._attention(span, view)[:, frames][:, :, cols]
        temporal, spatial = attention.sum(2), attention.sum(1)
        settled = self.history == "survivors" or last < 0 or view.layer - last >= HISTORY
        axis = self._axis(_falling(temporal), _falling(spatial), due) if settled else None
        drop, floor = self.drop(view.depth), -(-len(span) * (self.ratio or 0) // 1)
        if axis == "temporal":
            frames = frames[_survivors(temporal, drop, floor / max(1, len(cols)))]
        elif axis == "spatial":
            cols = cols[_survivors(spatial, drop, floor / max(1, len(frames)))]
        keep = torch.zeros_like(cells)
        keep[frames[:, None], cols] = True
        return (keep & cells).flatten()

    def _attention(self, span: Span, view: View) -> Tensor:
        """Attention at layers k-2, k-1, k, shape ``(3, frames, tokens_per_frame)``."""
        layers = range(view.layer - HISTORY, view.layer)
        rows = [view.signals[Rows(self.rows), layer][span.positions] for layer in layers]
        stacked = torch.stack(rows).view(HISTORY, span.frames, -1)
        return stacked / stacked.sum((1, 2), keepdim=True) if self.normalise else stacked

    def _axis(self, temporal: float, spatial: float, due: bool) -> Literal["temporal", "spatial"] | None:
        """The axis to drop along, given the shares of frames and positions whose attention fell twice; None: wait."""
        larger: Literal["temporal", "spatial"] = "temporal" if temporal >= spatial else "spatial"
        if temporal > self._trigger and spatial > self._trigger:
            return larger if self.both == "larger" else self.both
        if max(temporal, spatial) > self._trigger:
            return larger
        return (larger if self.forced == "larger" else self.forced) if due else None


def _falling(track: Tensor) -> float:
    """Share of the columns of ``(3, n)`` that fall strictly twice; a single frame or position has no trend."""
    falls = int(((track[0] > track[1]) & (track[1] > track[2])).sum())
    return falls / track.shape[1] if track.shape[1] > 1 else -1.0


def _survivors(track: Tensor, drop: float, floor: float) -> Tensor:
    """Indices that stay: all but the share `drop` with the smallest combined attention, at least `floor` and one."""
    n = track.shape[1]
    least = max(1, int(-(-floor // 1)))
    dropped = min(max(1, round(drop * n)) if drop > 0 else 0, max(0, n - least))
    rank = track[2] - track[1] + track[0]
    return rank.sort(stable=True).indices[dropped:].sort().values

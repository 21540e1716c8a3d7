"""A method that keeps a number of tokens instead of a share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.probes import Probe
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower


@dataclass(frozen=True)
class Absolute(Reducer):
    """Gives a method, prompt by prompt, the ratio that leaves a number of tokens of each picture.

    A prompt with several pictures keeps as many times the number, which they share by their size; a smaller prompt
    keeps all. In other respects it is the method.

    Parameters
    ----------
    method : Reducer
        Acts inside the LLM or at its entrance; has a `ratio`, on which its sites do not depend.
    tokens : float
        Visual tokens of a picture, in all its views, or of a video.
    """

    method: Reducer
    tokens: float

    def __post_init__(self) -> None:
        """Take over what the method says of itself."""
        for name in ("adaptive", "by_frame", "reads_tiles", "seeded", "needs_relevance"):
            object.__setattr__(self, name, getattr(self.method, name))

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked of a method."""
        if name.startswith("_") or name == "method":
            raise AttributeError(name)
        return getattr(self.method, name)

    @property
    def name(self) -> str:
        """See `Reducer.name`."""
        return self.method.name

    def of(self, grids: Sequence[Grid]) -> Reducer:
        """The method with the ratio for a prompt of these spans."""
        pictures, total = sum(grid.view == 0 for grid in grids), sum(grid.tokens for grid in grids)
        ratio: dict[str, Any] = {"ratio": min(1.0, pictures * self.tokens / total) if total else 1.0}
        return replace(self.method, **ratio)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return self.method.sites(depth, tower)

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`."""
        return self.method.probes(depth)

    def reduce(self, view: View) -> Reduction | None:
        """See `Reducer.reduce`."""
        return self.of([span.grid for span in view.layout.spans]).reduce(view)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`, of a prompt of this span alone."""
        return self.of([grid]).count(site, grid, present)

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`, likewise."""
        return self.of([grid]).work(site, grid, present, width)

    def plan(self, spans: Sequence[Grid | tuple[int, int]], depth: int, tower: Tower | None = None) -> list[int]:
        """See `Reducer.plan`."""
        return self.of([Grid(*span) for span in spans]).plan(spans, depth, tower)

    def keep_all(self) -> Reducer | None:  # type: ignore[override]
        """See `Reducer.keep_all`."""
        return self.method.keep_all()

    def knobs(self, depth: int) -> dict[str, object]:
        """See `Reducer.knobs`; the ratio is each prompt's own."""
        return self.method.knobs(depth) | {"ratio": None, "tokens": round(self.tokens)}

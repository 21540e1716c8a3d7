"""Two methods together: one on the way to the LLM, one inside it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Layout, Span, Width, pools
from winnow.reducers.core.probes import Probe
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerProbe, TowerView

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Composed(Reducer, ABC):
    """Base of the methods that consist of two. What enters the LLM is the second one's whole prompt."""

    @abstractmethod
    def parts(self) -> tuple[Reducer, Reducer]:
        """The method in the vision tower or at the entrance, and the method inside the LLM."""

    def __post_init__(self) -> None:
        """Check the choices, and take over what the parts say of themselves."""
        super().__post_init__()
        entrance, llm = self.parts()
        unequal = entrance.scope == "prompt" != llm.scope  # then contents decide what each span has left
        object.__setattr__(self, "together", entrance.together)
        object.__setattr__(self, "reads_tiles", entrance.reads_tiles)
        object.__setattr__(self, "adaptive", entrance.adaptive or llm.adaptive or unequal)

    def keep_all(self) -> Reducer | None:  # type: ignore[override]
        """See `Reducer.keep_all`."""
        entrance, llm = (part.keep_all() for part in self.parts())
        return None if entrance is None or llm is None else Compose(entrance, llm)

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`.

        Raises
        ------
        WinnowError
            If a part acts in the other one's place.
        """
        entrance, llm = self.parts()
        first, second = entrance.sites(depth, tower), llm.sites(depth, tower)
        if not all(map(_before_llm, first)):
            raise WinnowError(f"{entrance.name} acts inside the LLM: for the entrance choose a method without schedule")
        if any(site.in_tower for site in second):
            raise WinnowError(f"{llm.name} acts in the vision tower: make it the method of the entrance")
        if any(map(_before_llm, second)):
            raise WinnowError(f"{llm.name} acts at the entrance: give it a schedule, so that it acts inside the LLM")
        return first + second

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """See `Reducer.probes`."""
        return self.parts()[1].probes(depth)

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        return self.parts()[0].tower_probes(tower)

    def reduce(self, view: View | TowerView) -> Reduction | None:
        """See `Reducer.reduce`."""
        if isinstance(view, TowerView) or _before_llm(view.site):
            return self.acting(view.site).reduce(view)
        return self.acting(view.site).reduce(self._entered(view)) if len(view.visual) else None

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return self.acting(site).count(site, grid, present)

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`."""
        return self.acting(site).work(site, grid, present, width)

    def acting(self, site: Site) -> Reducer:
        """See `Reducer.acting`: the part that acts there."""
        return self.parts()[not _before_llm(site)]

    def plans(
        self, spans: Sequence[Grid | tuple[int, int]], depth: int, tower: Tower | None = None
    ) -> tuple[list[int], list[int]]:
        """See `Reducer.plans`."""
        self.sites(depth, tower)  # refuses parts that act in each other's place
        entrance, llm = self.parts()
        grids = [Grid(*span) for span in spans]
        if entrance.scope == "prompt":
            grids = pools(grids, "prompt")
        counts = [entrance.plan([grid], depth, tower)[0] for grid in grids]
        return llm.plans([self._regrid(grid, count) for grid, count in zip(grids, counts, strict=True)], depth)

    def _regrid(self, grid: Grid, count: int) -> Grid:
        """The grid of a span of which `count` tokens entered: frames x 1 x tokens, or one frame where they differ."""
        if count == grid.tokens:
            return grid
        frames = grid.frames if self.parts()[0].by_frame and count else 1
        return Grid(frames, count // frames, count // frames)

    def _entered(self, view: View) -> View:
        """The view with nothing but the tokens that entered the LLM."""
        layout, spans = view.layout, []
        entered = [span.positions[view.removed_at[span.positions] != 0] for span in layout.spans]
        for span, positions in zip(layout.spans, entered, strict=True):
            if not len(positions):
                continue
            grid = self._regrid(span.grid, len(positions))
            spans.append(Span(positions, grid.frames, grid.rows, grid.cols))
        mine = torch.isin(layout.visual, torch.cat(entered))
        separators = torch.cat([layout.separators, layout.visual[~mine]]).sort().values
        relevance: Tensor | None = None if layout.relevance is None else layout.relevance[mine]
        return replace(view, layout=Layout(layout.length, tuple(spans), separators, layout.key, relevance))


def _before_llm(site: Site) -> bool:
    """Whether the first of two methods acts here."""
    return site.in_tower or site.kind in ("pixels", "entrance")


@dataclass(frozen=True)
class Compose(Composed):
    """An entrance method, then an in-LLM method, whose shares are of what entered.

    Parameters
    ----------
    entrance : Reducer
        Acts in the vision tower, in front of it, or at the LLM's entrance.
    llm : Reducer
        Acts inside the LLM.
    """

    entrance: Reducer
    llm: Reducer

    @property
    def positions(self) -> str:
        """The policy that is not ``keep``, if either part has one."""
        policies = [getattr(part, "positions", "keep") for part in self.parts()]
        return next((policy for policy in policies if policy != "keep"), "keep")

    def parts(self) -> tuple[Reducer, Reducer]:
        """See `Composed.parts`."""
        return self.entrance, self.llm

    def knobs(self, depth: int) -> dict[str, Any]:
        """See `Reducer.knobs`."""
        named = (("entrance", self.entrance), ("llm", self.llm))
        return {f"{at}.{key}": value for at, part in named for key, value in part.knobs(depth).items()}

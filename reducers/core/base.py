"""What a method is: a frozen dataclass of hyper-parameters that answers a view of a prompt with a reduction."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch

from winnow.reducers.core.errors import WinnowError, choose
from winnow.reducers.core.field_types import choices_of, hints_of
from winnow.reducers.core.layout import Grid, Scope, Width, pools
from winnow.reducers.core.probes import Probe
from winnow.reducers.core.reduction import Positions, Reduction, View
from winnow.reducers.core.schedule import Cuts, K, Schedule
from winnow.reducers.core.site import Site, llm_sites, tower_sites
from winnow.reducers.core.tower import Tower, TowerProbe

if TYPE_CHECKING:
    from torch import Tensor

Select = Literal["highest", "lowest"]


@dataclass(frozen=True)
class Reducer:
    """Base of all methods. The fields are the hyper-parameters; a method overrides what it needs."""

    adaptive: ClassVar[bool] = False
    """Whether the counts depend on the prompt's content, so that a plan is only an estimate."""

    by_frame: ClassVar[bool] = False
    """Whether all frames of a span keep the same number of tokens."""

    native: ClassVar[tuple[str, ...]] = ()
    """Fields in the terms of the method's paper that win over `ratio` wherever they are not None."""

    together: ClassVar[bool] = False
    """Whether what becomes of a frame depends on the others that the vision tower encodes with it."""

    reads_tiles: ClassVar[bool] = False
    """Whether it knows, at the entrance, what the vision tower's statistics of a picture's tiles are to one another."""

    seeded: ClassVar[bool] = False
    """Whether it draws at random, so that runs with another seed are other runs."""

    checkpoints: ClassVar[tuple[str, ...]] = ()
    """Fields that name weights beside the model's, a repository of the hub or a folder, where they are not None."""

    needs_relevance: ClassVar[bool] = False
    """Whether it works only on documents that say which visual tokens matter."""

    def __post_init__(self) -> None:
        """Check the ratio, if there is one, and every field that is declared with a fixed set of choices."""
        if (ratio := getattr(self, "ratio", None)) is not None:
            check_ratio(ratio)
        for name, hint in hints_of(type(self)).items():  # type: ignore[arg-type]
            choices = choices_of(hint)
            if choices and (given := getattr(self, name)) not in choices:
                named = [str(choice) for choice in choices if choice is not None]
                raise WinnowError(f"reducer.{name}={given} is not allowed: {choose(given, named, ' | ')}")

    @property
    def name(self) -> str:
        """The method's name, as in ``reducer=<name>``."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def scope(self) -> Scope:
        """Over what `count` is asked: each span on its own, unless a method has a field that says otherwise."""
        return "span"

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """Where the method acts, in the order of a forward.

        Parameters
        ----------
        depth : int
            Layers of the LLM.
        tower : Tower or None
            The vision tower; None where methods cannot act in it, or where only the LLM is asked for.
        """
        return ()

    def acts_in_tower(self, depth: int, tower: Tower | None) -> bool:
        """Whether any of its sites lies in the vision tower."""
        return any(site.in_tower for site in self.sites(depth, tower))

    def acting(self, site: Site) -> Reducer:
        """Whose answer it is at a site; methods with equal ones answer alike to what they see alike."""
        return self

    def probes(self, depth: int) -> tuple[tuple[Probe, int], ...]:
        """The statistics of the LLM that the method needs, with the layer of each."""
        return ()

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """The statistics of the vision tower that the method needs, with the block of each.

        A method that acts at the LLM's entrance, and not in the tower, finds them in `View.signals`, pooled as the
        model pools its features.
        """
        return ()

    def reduce(self, view: Any) -> Reduction | None:
        """Answer one prompt (a `View`) or one frame (a `TowerView`) at one site, ``view.site``; None leaves it."""
        return None

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """Visual tokens that a site leaves of those present.

        Parameters
        ----------
        site : Site
            One of `sites`.
        grid : Grid
            One span as it was before any reduction; in the tower one frame of patches; with ``scope=prompt`` all spans
            as one.
        present : int
            Tokens of it that reach the site.
        """
        return present

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """Operations of the method's own at a site, beside its probes; ranking is free. Arguments as of `count`."""
        return 0.0

    def plan_tower(self, depth: int, tower: Tower) -> list[int]:
        """Tokens of one frame that leave each vision block, the features last."""
        present, planned, acting = tower.patches, [], set(self.sites(depth, tower))
        for site in tower_sites(tower):
            if site in acting:
                present = self.count(site, tower.grid, present)
            planned.append(present)
        return planned

    def plan(self, spans: Sequence[Grid | tuple[int, int]], depth: int, tower: Tower | None = None) -> list[int]:
        """Visual tokens that each LLM layer processes, see `plans`."""
        return self.plans(spans, depth, tower)[0]

    def plans(
        self, spans: Sequence[Grid | tuple[int, int]], depth: int, tower: Tower | None = None
    ) -> tuple[list[int], list[int]]:
        """Visual tokens that the attention of each LLM layer processes, and its MLP.

        Parameters
        ----------
        spans : sequence of Grid or (int, int)
            Frames, tokens per frame and perhaps columns of each span of the prompt.
        depth : int
            Layers of the LLM.
        tower : Tower or None
            The vision tower; needed for methods that act in it.

        Returns
        -------
        tuple of list of int
            One number per layer; exact for methods that are not `adaptive`. They differ where a method merges between
            the two.
        """
        grids, acting = [Grid(*span) for span in spans], set(self.sites(depth, tower))
        present = [grid.tokens for grid in grids]
        planned: tuple[list[int], list[int]] = [], []
        if tower is not None and (left := self.plan_tower(depth, tower)[-1]) < tower.patches:
            present = [grid.frames * left for grid in grids]
        if len(shared := pools(grids, self.scope)) < len(grids):
            grids, present = shared, [sum(present)]
        if (pixels := Site.pixels(depth)) in acting:
            present = [self.count(pixels, grid, n) for grid, n in zip(grids, present, strict=True)]
        for site in llm_sites(depth):
            if site in acting:
                present = [self.count(site, grid, n) for grid, n in zip(grids, present, strict=True)]
            planned[site.kind == "inside"].append(sum(present))
        return planned

    def keep_all(self) -> Self | None:
        """The same method with settings that keep everything, for the test that it then changes nothing."""
        everything: dict[str, Any] = {"ratio": 1.0}
        return replace(self, **everything) if "ratio" in {f.name for f in fields(self)} else None

    def knobs(self, depth: int) -> dict[str, object]:
        """The resolved native hyper-parameters, as the first line of a run prints them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        schedule = values.pop("schedule", None)
        return values | ({"schedule": schedule.resolve(depth).describe()} if isinstance(schedule, Schedule) else {})


@dataclass(frozen=True)
class Ranker(Reducer, ABC):
    """A method that ranks visual tokens and keeps the best, as many as its `count` says.

    Parameters
    ----------
    select : {"highest", "lowest"}
        ``lowest`` keeps the tokens that score worst: the anti-method of any score.
    positions : {"keep", "compact", "restart"}
        Position ids of the survivors.
    """

    select: Select = "highest"
    positions: Positions = "keep"

    @abstractmethod
    def score(self, view: View) -> Tensor:
        """Score each visual token present, in the order of `View.visual`, shape ``(present,)``."""

    def reduce(self, view: View) -> Reduction:
        """Keep the top of each span, or of the prompt, ties to the lower index, in prompt order."""
        score = self.score(view).float()
        if self.select == "lowest":
            score = -score
        visual, kept = view.visual, []
        for span in view.layout.pools(self.scope):
            here = torch.isin(visual, span.positions).nonzero().flatten()
            best = top(score[here], self.count(view.site, span.grid, len(here)))
            kept.append(visual[here[best]])
        return Reduction(torch.cat(kept), positions=self.positions)


@dataclass(frozen=True)
class Scorer(Ranker):
    """A ranking method that keeps a share: its author writes only `score`.

    Parameters
    ----------
    ratio : float
        Share of the visual tokens, of each span or of the prompt, that is left once the method has acted, in (0, 1].
        Several cuts share the drop: each keeps the same part of what the one before left.
    scope : {"span", "prompt"}
        Rank the tokens of each span, which has its own quota, or all visual tokens of the prompt.
    schedule : K, Cuts or None
        The layers at whose input the method acts; None is the LLM's entrance.
    """

    ratio: float = 0.5
    scope: Scope = "span"
    schedule: K | Cuts | None = None

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return sites_of(self.schedule, depth)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`: the rounded share, at least one token, at most those present."""
        cuts = self.sites(site.depth)
        part = (cuts.index(site) + 1) / len(cuts)
        return min(present, max(1, round(grid.tokens * self.ratio**part)))


def sites_of(schedule: Schedule | None, depth: int) -> tuple[Site, ...]:
    """The inputs of the schedule's layers; without a schedule the LLM's entrance."""
    return tuple(Site.layer(number, depth) for number in (schedule.resolve(depth).acts if schedule else (0,)))


def top(score: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest values, ascending; equal values go to the lower index."""
    return score.sort(descending=True, stable=True).indices[:count].sort().values


def check_ratio(ratio: float, name: str = "ratio") -> None:
    """Refuse a retention ratio outside (0, 1].

    Raises
    ------
    WinnowError
        Names the value.
    """
    if not 0 < ratio <= 1:
        raise WinnowError(f"{name}={ratio} is not allowed: choose a share of visual tokens kept, 0 < {name} <= 1")


def halvings(ratio: float) -> int:
    """How often a ratio halves, for methods that can do nothing else.

    Raises
    ------
    WinnowError
        If it is no power of one half; lists the choices.
    """
    times = round(math.log2(1 / ratio))
    if abs(ratio * 2**times - 1) > 0.02:
        raise WinnowError(f"ratio={ratio} is not allowed: this method halves, choose 1, 0.5, 0.25, 0.125, 0.0625, ...")
    return times

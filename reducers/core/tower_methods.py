"""What the methods of the vision tower share: at which blocks, how much, by whose attention, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.matching import match_work
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import ClsRow, ColumnMean, PooledByHead, TextMatch, Tower, TowerProbe, TowerView

if TYPE_CHECKING:
    from torch import Tensor

Guide = Literal["auto", "cls", "mean"]
"""Whose attention ranks the patches: the CLS token's, the mean over all patches', or CLS where there is one."""

Order = Literal["official", "raster"]
"""The order of the tokens that a method leaves: as its official code lists them, or each at the place of its patch."""


@dataclass(frozen=True)
class TowerReducer(Reducer):
    """Base of the methods that leave fewer tokens of each frame to the LLM.

    Parameters
    ----------
    positions : {"compact", "keep"}
        The LLM numbers what is left without gaps, as in all official codes; or tokens keep the ids of their patches.
    """

    positions: Literal["compact", "keep"] = "compact"

    def blocks(self, tower: Tower) -> tuple[int, ...]:
        """Vision blocks inside which the method acts, ascending."""
        return ()

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return () if tower is None else tuple(Site.tower(block, tower) for block in self.blocks(tower))


@dataclass(frozen=True)
class Cutter(TowerReducer):
    """Base of the methods that rank patches by attention and cut at some depths of the tower.

    Parameters
    ----------
    at : sequence of float
        Where they cut, as shares of the tower's depth: blocks 6, 12, 18 of 24.
    guide : {"auto", "cls", "mean"}
        Whose attention ranks: the CLS token's (papers), the mean over all patches', or CLS where there is one.
    """

    at: Sequence[float] = (0.25, 0.5, 0.75)
    guide: Guide = "auto"

    def __post_init__(self) -> None:
        """Refuse places outside the tower, then check the choices."""
        if not self.at or any(not 0 <= depth < 1 for depth in self.at):
            raise WinnowError(
                f"reducer.at={list(self.at)} is not allowed: choose shares of the tower's depth, 0 <= share < 1"
            )
        object.__setattr__(self, "at", tuple(self.at))
        super().__post_init__()

    def blocks(self, tower: Tower) -> tuple[int, ...]:
        """See `TowerReducer.blocks`: as far as the features pass them."""
        places = sorted({int(depth * tower.blocks) for depth in self.at})
        return tuple(block for block in places if block < tower.used)

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        return tuple((guide_probe(self.guide, tower), block) for block in self.blocks(tower))

    def equal_cut(self, site: Site, ratio: float) -> int:
        """Tokens left after the cut at `site`, if all cuts are by equal factors and the last leaves `ratio`."""
        cuts = self.blocks(site.vision)
        part = (cuts.index(site.number) + 1) / len(cuts)
        return max(1, round(site.vision.patches * site.vision.share(ratio) ** part))


@dataclass(frozen=True)
class FeatureReducer(TowerReducer):
    """Base of the methods that choose among the features of each frame, by the attention of the block that yields them.

    Parameters
    ----------
    ratio : float
        Share of a frame's tokens that leaves the tower.
    guide : {"auto", "cls", "mean"}
        Whose attention: the CLS token's, the mean over all patches', or CLS where there is one.
    """

    ratio: float = 0.25
    guide: Guide = "auto"

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`."""
        return () if tower is None else (Site.features(tower),)

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        return ((guide_probe(self.guide, tower), tower.used - 1),)

    def attention(self, view: TowerView) -> Tensor:
        """What each patch of a frame receives, mean over heads, shape ``(patches,)``."""
        return view.signals[guide_probe(self.guide, view.tower), view.tower.used - 1]

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return min(present, max(1, round(grid.tokens * site.vision.share(self.ratio))))


@dataclass(frozen=True)
class Merger(TowerReducer):
    """Base of the methods that merge some tokens away in every block.

    Parameters
    ----------
    ratio : float or None
        Share of a frame's tokens that leaves the tower, spread evenly over its blocks. None: `r` counts.
    r : int or sequence of int or None
        Tokens merged away in each block, at most half; wins over `ratio`.
    weighted : bool
        Weights as the method has them. False: a simpler mean, which the method names.
    proportional : bool
        Add log(size) to the attention logits of each key in later blocks.
    """

    native: ClassVar[tuple[str, ...]] = ("r",)

    ratio: float | None = None
    r: int | Sequence[int] | None = None
    weighted: bool = True
    proportional: bool = True

    def __post_init__(self) -> None:
        """Refuse negative numbers of merges, then check the choices."""
        object.__setattr__(self, "r", check_merges(self.r, "block"))
        super().__post_init__()

    def keep_all(self) -> Self:
        """See `Reducer.keep_all`."""
        return replace(self, r=0)

    def merges(self, tower: Tower) -> list[int]:
        """Tokens that each block merges away."""
        return merges(tower, self.r, self.ratio or 1.0)

    def blocks(self, tower: Tower) -> tuple[int, ...]:
        """See `TowerReducer.blocks`: those that merge anything."""
        return tuple(block for block, count in enumerate(self.merges(tower)) if count)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        return present - self.merges(site.vision)[site.number]

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: keys are compared, hidden states averaged."""
        return match_work(present, width.head) + 2 * present * width.hidden


def guide_probe(guide: Guide, tower: Tower) -> TowerProbe:
    """The probe that reads the guide's attention.

    Raises
    ------
    UnsupportedError
        If the CLS token is asked for and the tower has none; names what works.
    """
    if guide == "cls" and not tower.cls:
        raise UnsupportedError(
            "reducer.guide=cls needs a vision tower with a CLS token, which this model's lacks: choose mean, or auto"
        )
    return ClsRow() if tower.cls and guide != "mean" else ColumnMean()


def text_probe(
    checkpoint: str, tower: Tower, cosine: bool = True, whole: bool = True
) -> tuple[tuple[TowerProbe, int], ...]:
    """The probe that compares the features of a tower with the text of the prompt, see `TextMatch`.

    Raises
    ------
    UnsupportedError
        If the tower is none of CLIP, beside which no text tower stands.
    """
    if not tower.cls:
        raise UnsupportedError(
            "compares patches with the text by CLIP's text tower, but this model's vision tower is none of CLIP"
        )
    return ((TextMatch(checkpoint, cosine, whole), tower.used),)


def head_probe(checkpoint: str, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
    """The probe that asks a pooling head beside the model, see `PooledByHead`.

    Raises
    ------
    UnsupportedError
        If the tower is one of CLIP, which has no such head.
    """
    if tower.cls:
        raise UnsupportedError("asks SigLIP's pooling head, but this model's vision tower is one of CLIP")
    return ((PooledByHead(checkpoint), tower.used),)


def check_checkpoint(variant: str, needed: bool, name: str, given: str | None, usual: str) -> None:
    """Refuse a variant without the weights beside the model that it needs, and weights that it does not read.

    Raises
    ------
    WinnowError
        Names the field, and what is usually given.
    """
    if needed and given is None:
        raise WinnowError(
            f"reducer.variant={variant} needs weights beside the model: say reducer.{name}={usual}, or a folder; or "
            "choose a variant that needs none"
        )
    if given is not None and not needed:
        raise WinnowError(f"reducer.variant={variant} reads no reducer.{name}: leave it out, or choose another variant")


def check_merges(r: int | Sequence[int] | None, per: str) -> int | tuple[int, ...] | None:
    """Refuse negative numbers of merges per block or iteration; a sequence comes back as a tuple.

    Raises
    ------
    WinnowError
        Names the value.
    """
    listed = (r or 0,) if r is None or isinstance(r, int) else tuple(r)
    if any(number < 0 for number in listed):
        raise WinnowError(f"reducer.r={r} is not allowed: choose 0 or more tokens per {per}")
    return r if r is None or isinstance(r, int) else listed


def merges(tower: Tower, r: int | Sequence[int] | None, ratio: float, inflection: float = 0.0) -> list[int]:
    """Tokens that each block up to the features merges away, at most half of those present.

    Parameters
    ----------
    tower : Tower
        The tower.
    r : int or sequence of int or None
        One number for all blocks, or one for each (blocks behind the end of the list merge nothing). None: as even as
        possible, so that `ratio` of the tokens leave the tower; the larger numbers come first.
    ratio : float
        Share of the tokens that leaves the tower (`Tower.share`); counts without `r`.
    inflection : float
        ToMe's linear ramp of a single `r`, from ``r (1 - inflection)`` in the first block to ``r (1 + inflection)``.

    Raises
    ------
    WinnowError
        If halving in every block leaves more than `ratio`; names what can be reached.
    """
    if r is None:
        return _even_merges(tower, max(1, round(tower.patches * tower.share(ratio))))
    wanted = _ramp(r, inflection, tower.blocks) if isinstance(r, int) else [*r, *[0] * tower.used]
    present, counts = tower.patches, []
    for block in range(tower.used):
        counts.append(min(wanted[block], present // 2))
        present -= counts[-1]
    return counts


def arrange(weights: Tensor, slots: Tensor, order: Order) -> Reduction:
    """Put merged tokens at their patches' places.

    Parameters
    ----------
    weights : Tensor
        The tokens as weighted sums, one a row in the official order, shape ``(kept, present)``.
    slots : Tensor
        The patch of each row, all different, shape ``(kept,)``.
    order : {"official", "raster"}
        ``raster``: every token stands at its own patch. ``official``: the rows fill the same places in their own order.
    """
    places = slots.sort()
    if order == "raster":
        weights = weights.index_select(0, places.indices)
    return Reduction(places.values, weights if weights.is_sparse else weights.to_sparse())


def _even_merges(tower: Tower, kept: int) -> list[int]:
    least = -(-tower.patches // 2**tower.used)
    if kept < least:
        lowest = least / min(tower.patches, tower.slots or tower.patches)
        raise WinnowError(
            f"the ratio is out of reach: {tower.used} vision blocks that merge at most half of the tokens each leave "
            f"{least} of {tower.patches}, choose ratio >= {lowest:.4g}"
        )
    present, counts = tower.patches, []
    for left in range(tower.used, 0, -1):
        share = -(-(present - kept) // left)
        soon = present - kept * 2 ** (left - 1)
        counts.append(max(share, soon))  # at most half of those present, since `least` can be reached
        present -= counts[-1]
    return counts


def _ramp(r: int, inflection: float, blocks: int) -> list[int]:
    first = int(r * (1 - inflection))
    step = 2 * (r - first) / max(1, blocks - 1)
    return [int(first + step * block) for block in range(blocks)]

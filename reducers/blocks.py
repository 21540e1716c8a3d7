"""What the methods of the vision tower share: at which blocks, how much, by whose attention, in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from reducers.errors import UnsupportedError, WinnowError
from reducers.reduction import Reduction
from reducers.tower import ClsRow, ColumnMean, Tower, TowerProbe

Guide = Literal["auto", "cls", "mean"]
"""Whose attention ranks the patches: the CLS token's, the mean over all patches', or CLS where there is one."""

Order = Literal["official", "raster"]
"""The order of the tokens that a method leaves: as its official code lists them, or each at the place of its patch."""


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


def check_depths(depths: Sequence[float]) -> tuple[float, ...]:
    """Refuse places outside the tower.

    Raises
    ------
    WinnowError
        Names the value.
    """
    if not depths or any(not 0 <= depth < 1 for depth in depths):
        raise WinnowError(
            f"reducer.at={list(depths)} is not allowed: choose shares of the tower's depth, 0 <= share < 1"
        )
    return tuple(depths)


def blocks_at(depths: Sequence[float], tower: Tower) -> tuple[int, ...]:
    """Blocks at shares of the tower's depth, as far as the features pass them: 1/4, 1/2, 3/4 of 24 are 6, 12, 18."""
    return tuple(block for block in sorted({int(depth * tower.blocks) for depth in depths}) if block < tower.used)


def equal_cuts(patches: int, ratio: float, cuts: int) -> list[int]:
    """Tokens left after each of some cuts by equal factors, the last of which leaves `ratio` of the patches."""
    return [max(1, round(patches * ratio ** (cut / cuts))) for cut in range(1, cuts + 1)]


def merges(tower: Tower, r: int | Sequence[int] | None, ratio: float, inflection: float = 0.0) -> list[int]:
    """Tokens that each block up to the features merges away, at most half of those present.

    Parameters
    ----------
    tower : Tower
        The tower.
    r : int or sequence of int or None
        One number for all blocks, or one for each (blocks behind the end of the list merge nothing). None: as even as
        possible, so that `ratio` of the patches leave the tower; the larger numbers come first.
    ratio : float
        Share of the patches that leaves the tower; counts without `r`.
    inflection : float
        ToMe's linear ramp of a single `r`, from ``r (1 - inflection)`` in the first block to ``r (1 + inflection)``.

    Raises
    ------
    WinnowError
        If halving in every block leaves more than `ratio`; names what can be reached.
    """
    if r is None:
        return _even_merges(tower, max(1, round(tower.patches * ratio)))
    wanted = _ramp(r, inflection, tower.blocks) if isinstance(r, int) else [*r, *[0] * tower.used]
    present, counts = tower.patches, []
    for block in range(tower.used):
        counts.append(min(wanted[block], present // 2))
        present -= counts[-1]
    return counts


def check_merges(r: int | Sequence[int] | None) -> int | tuple[int, ...] | None:
    """Refuse negative numbers of merges; a list becomes a tuple.

    Raises
    ------
    WinnowError
        Names the value.
    """
    listed = [] if r is None else [r] if isinstance(r, int) else list(r)
    if any(number < 0 for number in listed):
        raise WinnowError(f"reducer.r={r} is not allowed: choose 0 or more tokens per block")
    return r if r is None or isinstance(r, int) else tuple(r)


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
        raise WinnowError(
            f"the ratio is out of reach: {tower.used} vision blocks that merge at most half of the tokens each leave "
            f"{least} of {tower.patches}, choose ratio >= {least / tower.patches:.4g}"
        )
    present, counts = tower.patches, []
    for left in range(tower.used, 0, -1):
        share = -(-(present - kept) // left)
        soon = present - kept * 2 ** (left - 1)
        counts.append(min(max(share, soon), present // 2))
        present -= counts[-1]
    return counts


def _ramp(r: int, inflection: float, blocks: int) -> list[int]:
    first = int(r * (1 - inflection))
    step = 2 * (r - first) / max(1, blocks - 1)
    return [int(first + step * block) for block in range(blocks)]

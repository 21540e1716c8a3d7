"""GlobalCom2: let the view of the whole picture say how much each of its tiles keeps, and help to choose there.

Liu et al., "Global Compression Commander: Plug-and-Play Inference Acceleration for High-Resolution Large
Vision-Language Models" (AAAI 2026); official `llava_arch.py` for LLaVA-NeXT. What the paper calls the CLS token's
attention are in the code the logits of the tower's last block before their softmax, also where features come from the
one before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.entrance import Variant
from winnow.reducers.core.layout import Span
from winnow.reducers.core.reduction import View
from winnow.reducers.core.tiles import TileChooser, Tiles, told
from winnow.reducers.core.tower import ClsLogits, Tower, TowerProbe
from winnow.reducers.core.tower_methods import guide_probe

if TYPE_CHECKING:
    from torch import Tensor

TEMPERATURE, SMALL = 10, 1e-8
"""Of the softmax over tiles, and what the code adds to its sum."""


@dataclass(frozen=True)
class GlobalCom2(TileChooser):
    """Keep of each view the tokens with the highest values in the tower.

    The whole view keeps `ratio` of its tokens, by falling values. A tile keeps ``ratio (1 + p - mean p)`` of its own,
    at most all; p is the softmax over tiles, at temperature 10, of the sums of the whole view's values in their areas.
    Within a tile tokens are ranked by their own values plus those of the whole view, stretched bilinearly over the
    tiles, both scaled to length one in each tile. Numbers are rounded down. A picture in one view, which the official
    code leaves whole, keeps `ratio` here. Ties go to the lower place. The official code reads the values of a batch's
    further pictures one row too early; that is no part of this.

    Parameters
    ----------
    ratio : float
        Share of each view's visual tokens that enters the LLM, on average over tiles. Official: 0.25.
    values : {"logits", "attention"}
        The logits of the CLS token's query in the last block (official), or its attention in the block of the features
        (the paper). Without a CLS token: the mean over the patches' queries.
    variant : {"mended", "official"}
        The official code takes places among the tokens of a tile without padding for places in the whole tile, so that
        tokens of padded pictures stand in another order; it also has a newline for each row of the padding, which
        models here do not have.
    order : {"official", "raster"}
        Of the whole view's tokens: by falling values, or raster.
    """

    adaptive: ClassVar[bool] = True

    values: Literal["logits", "attention"] = "logits"
    variant: Variant = "mended"
    order: Literal["official", "raster"] = "official"

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        if self.values == "logits":
            return ((ClsLogits(), tower.blocks - 1),)
        return ((guide_probe("auto", tower), tower.used - 1),)

    def whole(self, view: View, base: Span, tiles: Tiles | None) -> Tensor:
        """See `TileChooser.whole`."""
        least = int(tiles is None or self.variant == "mended")
        picks = _best(told(view, base)[-1], max(least, int(len(base) * self.ratio)))
        return picks if self.order == "official" else picks.sort().values

    def parts(self, view: View, base: Span, tiles: Tiles) -> Tensor:
        """See `TileChooser.parts`."""
        unit = torch.nn.functional.normalize
        whole = told(view, base)[-1].view(1, 1, base.rows, base.cols)
        stretched = torch.nn.functional.interpolate(
            whole, (tiles.span.rows, tiles.span.cols), mode="bilinear"
        ).flatten()
        own, chosen, places = told(view, tiles.span)[-1], [], []
        for number, (cells, share) in enumerate(zip(tiles.cells, self._shares(whole[0, 0], tiles), strict=True)):
            value = unit(own[cells], dim=0) + unit(stretched[cells], dim=0)
            picks = _best(value, int(len(cells) * share))
            chosen.append(cells[picks])
            places.append(self._places(cells, picks, number, base, tiles))
        return torch.cat(chosen)[torch.cat(places).argsort(stable=True)]

    def _shares(self, whole: Tensor, tiles: Tiles) -> list[float]:
        """The share of its tokens that each tile keeps."""
        cols = tiles.cols
        rows = len(tiles.cells) // cols
        up, left = (torch.arange(n) // max(n // m, 1) for n, m in zip(whole.shape, (rows, cols), strict=True))
        area = up.clamp(max=rows - 1)[:, None] * cols + left.clamp(max=cols - 1)
        total = torch.zeros(rows * cols, dtype=torch.double).index_add_(0, area.flatten(), whole.flatten().double())
        weight = ((total - total.max()) / TEMPERATURE).exp()
        part = weight / (weight.sum() + SMALL)
        return (self.ratio * (1 + part - part.mean())).clamp(max=1).tolist()

    def _places(self, cells: Tensor, picks: Tensor, number: int, base: Span, tiles: Tiles) -> Tensor:
        """Where the tokens chosen of a tile stand among those of all tiles: a number that rises with their places."""
        if self.variant == "mended":
            return cells[picks]
        row, col = divmod(number, tiles.cols)
        return (row * base.rows + picks // base.cols) * tiles.cols * base.cols + col * base.cols + picks % base.cols


def _best(value: Tensor, count: int) -> Tensor:
    """Indices of the `count` largest values by falling value; equal ones by their place."""
    return value.sort(descending=True, stable=True).indices[:count]

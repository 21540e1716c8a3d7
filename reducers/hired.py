"""HiRED: let the view of the whole picture say how many tokens each of its tiles keeps.

Arif et al., "HiRED: Attention-Guided Token Dropping for Efficient Inference of High-Resolution Vision-Language Models"
(AAAI 2025); official code for LLaVA-NeXT and LLaVA-1.5.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.base import top
from winnow.reducers.core.entrance import Variant
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Span
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.tiles import TileChooser, Tiles, told, uncut
from winnow.reducers.core.tower import Tower, TowerProbe
from winnow.reducers.core.tower_methods import Guide, guide_probe

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class HiRED(TileChooser):
    """Keep the tokens that the block of the features attends to most, of each view so many.

    The whole view keeps `alpha` of a picture's budget. Of its patches, the share 1 - `alpha` to which the first block
    attends most says where the picture's content is: tiles share the rest by how many of these lie in each. All numbers
    are rounded down, and what a full tile cannot take is lost. A picture in one view keeps its whole budget there.
    Attention is the mean over heads (official: the sum, which ranks alike). Ties go to the lower place.

    Parameters
    ----------
    ratio : float
        Share of each picture's visual tokens that enters the LLM. Paper: 0.2.
    alpha : float
        Share of the budget that the whole view keeps.
    guide : {"auto", "cls", "mean"}
        Whose attention: the CLS token's (official), the mean over all patches', or CLS where there is one.
    variant : {"mended", "official"}
        Mended: a patch of the whole view counts for the tile that shows the same place. The official code counts runs
        of the raster instead, one for each tile; the padding of tiles counts in the budget and may be chosen, and is
        then lost.
    newlines : {"drop", "keep"}
        Whether the tokens behind the rows of tiles are dropped too. Official: drop.
    """

    adaptive: ClassVar[bool] = True

    ratio: float = 0.2
    alpha: float = 0.5
    guide: Guide = "auto"
    variant: Variant = "mended"
    newlines: Literal["drop", "keep"] = "drop"

    def __post_init__(self) -> None:
        """Check the shares, then the choices."""
        if not 0 <= self.alpha <= 1:
            raise WinnowError(f"reducer.alpha={self.alpha} is not allowed: choose a share, 0 <= alpha <= 1")
        super().__post_init__()

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`: the first block, then that of the features.

        A model that pools behind its tower has no tiles that can be read, to which alone the first block speaks.
        """
        probe = guide_probe(self.guide, tower)
        return tuple((probe, block) for block in (0, tower.used - 1)[tower.slots is not None :])

    def reduce(self, view: View) -> Reduction | None:
        """Choose in each picture; newlines go with the tiles' tokens."""
        answer, layout = super().reduce(view), view.layout
        if answer is None or self.newlines == "keep" or not any(span.view for span in layout.spans):
            return answer
        return replace(answer, drop_text=layout.separators)

    def whole(self, view: View, base: Span, tiles: Tiles | None) -> Tensor:
        """See `TileChooser.whole`."""
        return top(told(view, base)[-1], self._budgets(base, tiles)[0])

    def parts(self, view: View, base: Span, tiles: Tiles) -> Tensor:
        """See `TileChooser.parts`."""
        area = torch.zeros(len(base))
        area[top(told(view, base)[0], int(len(base) * (1 - self.alpha)))] = 1
        content = self._content(area, base, tiles)
        share = content / content.sum() if bool(content.any()) else torch.full_like(content, 1 / len(content))
        quotas = (share * self._budgets(base, tiles)[1]).int().tolist()
        if self.variant == "official":
            rows = zip(tiles.span.cells, uncut(view, tiles), quotas, strict=True)
            picks = torch.cat([cells[top(attention, quota)] for cells, attention, quota in rows])
            return picks[picks >= 0].sort().values
        attention = told(view, tiles.span)[-1]
        chosen = [cells[top(attention[cells], quota)] for cells, quota in zip(tiles.cells, quotas, strict=True)]
        return torch.cat(chosen).sort().values

    def _budgets(self, base: Span, tiles: Tiles | None) -> tuple[int, int]:
        """Tokens of the whole view, and of all tiles together."""
        size, alpha = len(base), 1.0 if tiles is None else self.alpha
        held = 0 if tiles is None else tiles.span.cells.numel() if self.variant == "official" else len(tiles.span)
        total = int((size + held) * self.ratio)
        first = min(max(int(total * alpha), int(alpha > 0 and self.variant == "mended")), size)
        return first, min(total - first, held)

    def _content(self, area: Tensor, base: Span, tiles: Tiles) -> Tensor:
        """How many of the whole view's patches in `area` lie in each tile, ``(tiles,)``."""
        number = len(tiles.cells)
        if self.variant == "official":
            return torch.stack([part.sum() for part in area.tensor_split(number)])
        owner = tiles.owner[None, None].float()
        owner = torch.nn.functional.interpolate(owner, (base.rows, base.cols), mode="nearest-exact")
        return torch.zeros(number).index_add_(0, owner.flatten().long(), area)

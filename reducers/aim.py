"""AIM: merge similar visual tokens before the LLM, then prune unimportant ones inside it.

Zhong et al., "AIM: Adaptive Inference of Multi-Modal LLMs via Token Merging and Pruning" (ICCV 2025). Its two halves
stand in `winnow.reducers.aim_merge` and `winnow.reducers.aim_prune`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from winnow.reducers.aim_merge import AIMMerge
from winnow.reducers.aim_prune import NEVER, AIMPrune
from winnow.reducers.compose import Composed
from winnow.reducers.core.base import Select
from winnow.reducers.core.entrance import Variant
from winnow.reducers.core.layout import Scope
from winnow.reducers.core.reduction import Positions
from winnow.reducers.core.released import settle
from winnow.reducers.core.schedule import Window
from winnow.reducers.core.tower_methods import Order


@dataclass(frozen=True)
class AIM(Composed):
    """Merging and pruning.

    Parameters
    ----------
    ratio : float
        Share of visual tokens that merging leaves; pruning comes on top, by `schedule`. Paper: 0.25.
    r, metric, counts, variant, order, images, positions
        See `AIMMerge`; pruning keeps the positions of what entered.
    apply, slope, temperature, iterations, select, scope, schedule
        See `AIMPrune`.
    """

    native: ClassVar[tuple[str, ...]] = ("r",)

    ratio: float = 0.25
    r: int | Sequence[int] | None = None
    metric: Literal["embeddings", "keys"] = "embeddings"
    counts: Literal["code", "paper"] = "code"
    variant: Variant = "mended"
    order: Order | None = None
    images: bool | None = None
    apply: Literal["next", "same"] = "next"
    slope: float | None = None
    temperature: float = 0.1
    iterations: int = 5
    select: Select = "highest"
    positions: Positions = "compact"
    scope: Scope = "prompt"
    schedule: Window = Window(14, 22, of=28)

    def __post_init__(self) -> None:
        """Freeze a list, then check the parts."""
        object.__setattr__(self, "r", self.r if self.r is None or isinstance(self.r, int) else tuple(self.r))
        super().__post_init__()
        merge, _ = self.parts()
        settle(self, order=(merge.order, merge.order), images=(merge.images, merge.images))

    def parts(self) -> tuple[AIMMerge, AIMPrune]:
        """See `Composed.parts`."""
        merge = AIMMerge(
            self.ratio, self.r, self.metric, self.counts, self.variant, self.order, self.images, self.positions
        )
        prune = AIMPrune(
            apply=self.apply,
            slope=self.slope,
            temperature=self.temperature,
            iterations=self.iterations,
            select=self.select,
            scope=self.scope,
            schedule=self.schedule,
        )
        return merge, prune

    def keep_all(self) -> AIM:
        """See `Reducer.keep_all`."""
        return replace(self, ratio=1.0, r=None, schedule=NEVER)

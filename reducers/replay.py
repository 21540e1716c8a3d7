"""A control at truly equal budget: as many tokens as another run had, sample by sample and layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from winnow.reducers.core.base import Reducer, top
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower
from winnow.reducers.random import RandomDrop
from winnow.reducers.uniform import Uniform


@dataclass(frozen=True)
class Replay(Reducer):
    """Keep as many of the prompt's visual tokens as a recorded run had in each layer, chosen by a control.

    Parameters
    ----------
    counts : mapping of str to sequence of int
        Per sample key the visual tokens that each layer processed.
    like : str
        The recorded run, for the record.
    by : {"random", "uniform"}
        A sample drawn from the sample's key, or one that is even in time and space.
    """

    seeded: ClassVar[bool] = True

    adaptive: ClassVar[bool] = True

    counts: Mapping[str, Sequence[int]] = field(default_factory=dict)
    like: str = ""
    by: Literal["random", "uniform"] = "random"

    def knobs(self, depth: int) -> dict[str, object]:
        """See `Reducer.knobs`: the run stands for its counts."""
        return {"like": self.like, **({} if self.by == "random" else {"by": self.by})}

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`: the recorded run may have dropped anywhere."""
        return tuple(Site.layer(layer, depth) for layer in range(depth))

    def reduce(self, view: View) -> Reduction | None:
        """Drop down to the recorded count.

        Raises
        ------
        WinnowError
            If the sample was not recorded, or with another model or other pictures.
        """
        key, present = view.layout.key, len(view.visual)
        recorded = self.counts.get(key)
        if recorded is None:
            raise WinnowError(f"the run to replay has no sample '{key}': use one with the same tasks, limit and seed")
        if len(recorded) != view.depth or recorded[view.layer] > present:
            raise WinnowError(
                f"the run to replay does not fit sample '{key}': it has {len(recorded)} layers and {max(recorded)} "
                f"visual tokens, this run {view.depth} and {len(view.layout.visual)}; use the same model and frames"
            )
        if recorded[view.layer] == present:
            return None
        control = RandomDrop() if self.by == "random" else Uniform()
        return Reduction(view.visual[top(control.score(view), recorded[view.layer])])

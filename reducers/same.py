"""The very tokens that another run kept, sample by sample and layer by layer: its choice apart from all else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import torch

from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower


@dataclass(frozen=True)
class Same(Reducer):
    """Keep the visual tokens that a recorded run kept; of what it merged, the tokens that others were merged into.

    Parameters
    ----------
    fates : mapping of str to sequence of int
        Per sample key, for each visual token, the last layer that saw it; -1: none.
    like : str
        The recorded run, for the record.
    """

    adaptive: ClassVar[bool] = True

    fates: Mapping[str, Sequence[int]] = field(default_factory=dict)
    like: str = ""

    def knobs(self, depth: int) -> dict[str, object]:
        """See `Reducer.knobs`: the run stands for its tokens."""
        return {"like": self.like}

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        """See `Reducer.sites`: the recorded run may have dropped anywhere."""
        return tuple(Site.layer(layer, depth) for layer in range(depth))

    def reduce(self, view: View) -> Reduction | None:
        """Drop what the recorded run had dropped by now.

        Raises
        ------
        WinnowError
            If the sample was not recorded, or with another model or other pictures.
        """
        key, visual = view.layout.key, view.layout.visual
        recorded = self.fates.get(key)
        if recorded is None or len(recorded) != len(visual):
            had = "no such sample" if recorded is None else f"{len(recorded)} visual tokens, this run {len(visual)}"
            raise WinnowError(
                f"the run to repeat does not fit sample '{key}': it has {had}; use the same model, frames and tasks"
            )
        left = visual[torch.as_tensor(recorded) >= view.layer]
        return None if len(left) == len(view.visual) else Reduction(left)

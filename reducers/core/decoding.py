"""One step of decoding, as a method sees it that chooses among a prompt's stored keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from winnow.reducers.core.layout import Layout
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class StepView:
    """A new token in front of the LLM layer from which on a choice holds, in this step alone; all keys stay stored.

    A method answers with a `Reduction` whose `keep` are the visual tokens that these layers read, and whose `told` is
    what it wants to know at the next step; None: they read all, and what was told stays.

    Parameters
    ----------
    site : Site
        `Site.decode`.
    layout : Layout
        The prompt, before any reduction.
    visual : Tensor
        Prompt indices of the visual tokens that the layer before holds, in front of layer 0 that layer itself,
        ascending, on the CPU.
    attention : Tensor
        What the new token paid to each of them in the layer before, mean over heads, ``(visual,)``, on the CPU; in
        front of layer 0, which has none before it, zeros.
    told : Any
        What the method told at the step before, at the first one in the prefill; None: nothing.
    """

    site: Site
    layout: Layout
    visual: Tensor
    attention: Tensor
    told: Any = None

"""A reducer's answer, and the view of a prompt on which it answers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar

import torch

from winnow.reducers.core.layout import Layout, Span
from winnow.reducers.core.probes import Probe
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import TowerProbe

if TYPE_CHECKING:
    from torch import Tensor

T = TypeVar("T")
Positions = Literal["keep", "compact", "mean", "restart"]


@dataclass(frozen=True, eq=False)
class Reduction:
    """What is left of the visual tokens.

    Parameters
    ----------
    keep : Tensor
        Prompt indices of the visual tokens that stay, ascending, shape ``(kept,)``. With `weights` they are the anchors
        of the merged tokens: a merged token takes its anchor's place and position.
    weights : Tensor or None
        Sparse (COO), shape ``(kept, present)``: each output token as a weighted sum of the visual tokens present, in
        the order of `View.visual`. Groups may overlap and rows need not sum to one; the order of the rows is the order
        of the contents. None: tokens are kept as they are.
    positions : {"keep", "compact", "mean", "restart"}
        Survivors keep the position ids they had; or all tokens are renumbered without gaps; or a merged token gets the
        weighted mean of its members' ids, rounded down; or visual tokens keep their distances to each other and to the
        text before them, and text restarts right behind what is left in front of it.
    own : Tensor or None
        In the vision tower: the patch that each output token is or went into, where it stands at another's place, shape
        ``(kept,)``. None: `keep`.
    drop_text : Tensor or None
        Prompt indices of text tokens to drop, for the ablation that prunes text. The first and the last token of a
        prompt cannot go.
    told : object
        What the method wants to know of this prompt, or frame, at its later sites, see `View.told`; None: what it knew
        before.
    """

    keep: Tensor
    weights: Tensor | None = None
    positions: Positions = "keep"
    drop_text: Tensor | None = None
    own: Tensor | None = None
    told: object = None

    def apply(self, hidden: Tensor, index: Tensor | None = None) -> Tensor:
        """The tokens that are left.

        Parameters
        ----------
        hidden : Tensor
            The visual tokens present, shape ``(present, width)``: `View.visual_hidden`, or `TowerView.hidden`.
        index : Tensor or None
            Where they stand, ascending, shape ``(present,)``: `View.visual`, or `TowerView.index`; None: 0, 1, 2, ...

        Returns
        -------
        Tensor
            Shape ``(kept, width)``; sums run in float32.
        """
        if self.weights is None:
            places = self.keep if index is None else torch.searchsorted(index, self.keep.contiguous())
            return hidden[places.to(hidden.device, non_blocking=True)]
        weights = self.weights.to(hidden.device, torch.float32)
        return torch.sparse.mm(weights, hidden.float()).to(hidden.dtype)


def _same(states: Tensor) -> Tensor:
    return states


@dataclass(frozen=True, eq=False)
class View:
    """One prompt at one site of the LLM, unpadded. Indices and signals live on the CPU, hidden states on the device.

    Parameters
    ----------
    layout : Layout
        The whole prompt, before any reduction.
    index : Tensor
        Prompt indices of the tokens that are still present, ascending, shape ``(n,)``.
    hidden : Tensor
        Their hidden states, shape ``(n, width)``.
    site : Site
        Where: the input of an LLM layer, or inside one.
    removed_at : Tensor
        Per prompt token the layer at whose input it was removed, -1 while it is present, shape ``(length,)``.
    size : Tensor
        How many tokens were merged into each token of the prompt, itself included, shape ``(length,)``.
    signals : mapping
        ``(probe, layer) ->`` values on the prompt axis, shape ``(length, ...)``; 0 where a token was absent. At the
        entrance also the tower's, ``(probe, block) ->`` values of the visual tokens.
    notes : dict
        What methods of a sweep that are shown the very same prompt tell one another, see `ranked` and `once`.
    norm : callable
        The LLM's final norm, for methods that compare states as the LM head would see them.
    told : Any
        What the method told last of this prompt at its earlier sites; None: nothing.
    """

    layout: Layout
    index: Tensor
    hidden: Tensor
    site: Site
    removed_at: Tensor
    size: Tensor
    signals: Mapping[tuple[Probe | TowerProbe, int], Tensor] = field(default_factory=dict)
    notes: dict[Hashable, Any] = field(default_factory=dict)
    norm: Callable[[Tensor], Tensor] = _same
    told: Any = None

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """A value that another method may have computed of this prompt; `key` names all else that it depends on."""
        if key not in self.notes:
            self.notes[key] = compute()
        known: T = self.notes[key]
        return known

    def ranked(self, key: Hashable, count: int, rank: Callable[[int], Tensor]) -> Tensor:
        """The first `count` places of a ranking whose beginning does not depend on how many are asked for.

        So the ratios of a sweep share one ranking: the longest that was needed.

        Parameters
        ----------
        key : hashable
            Names all that the ranking depends on beside the prompt.
        count : int
        rank : callable
            Gives the first so many places.
        """
        known: Tensor | None = self.notes.get(key)
        if known is None or len(known) < count:
            known = self.notes[key] = rank(count)
        return known[:count]

    @classmethod
    def of(
        cls,
        layout: Layout,
        hidden: Tensor,
        site: Site,
        signals: Mapping[tuple[Probe | TowerProbe, int], Tensor] | None = None,
        removed_at: Tensor | None = None,
    ) -> Self:
        """See a prompt as a method does, from raw tensors.

        Parameters
        ----------
        layout : Layout
            The prompt, see `Layout.of`.
        hidden : Tensor
            States of the whole prompt, also of what was removed before, shape ``(length, width)``.
        site : Site
            Where.
        signals, removed_at
            See `View`; None: no statistics, nothing was removed before.
        """
        gone = torch.full((layout.length,), -1) if removed_at is None else removed_at
        index, size = (gone < 0).nonzero().flatten(), torch.ones(layout.length, dtype=torch.long)
        return cls(layout, index, hidden[index.to(hidden.device)], site, gone, size, {} if signals is None else signals)

    @property
    def layer(self) -> int:
        """The LLM layer."""
        return self.site.number

    @property
    def depth(self) -> int:
        """Layers of the LLM."""
        return self.site.depth

    @cached_property
    def visual(self) -> Tensor:
        """Prompt indices of the visual tokens still present, ascending, shape ``(present,)``."""
        return self.index[self.layout.is_visual[self.index]]

    @property
    def visual_hidden(self) -> Tensor:
        """Hidden states of the visual tokens present, shape ``(present, width)``."""
        places = self.layout.is_visual[self.index].nonzero().flatten()
        return self.hidden[places.to(self.hidden.device, non_blocking=True)]  # the host waits for nothing

    def present(self, span: Span) -> Tensor:
        """Mask over the cells of a span: which are still here, shape ``(frames * rows * cols,)``."""
        return self.removed_at[span.positions] < 0

"""What really happened to the tokens of each prompt."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from winnow.models.engine.provenance import merged
from winnow.models.engine.tower_pass import TowerPass
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.reduction import Reduction
from winnow.reducers.core.site import Site


@dataclass(frozen=True, eq=False)
class Step:
    """One reduction that was carried out.

    Parameters
    ----------
    site : Site
        Where in the LLM.
    reduction : Reduction
        What was kept, and which input positions each merged token stands for, with weights.
    """

    site: Site
    reduction: Reduction


@dataclass(frozen=True, eq=False)
class PromptTrace:
    """The path of one prompt through the LLM's prefill.

    Parameters
    ----------
    layout : Layout
        The prompt as it came in.
    tokens_per_layer, visual_per_layer : list of int
        Tokens (visual tokens) that each decoder layer processed, and that its KV cache holds.
    last_layer : Tensor
        Per visual token the last layer that processed it, -1 if none did; shape ``(visual,)``.
    anchor : Tensor
        Per visual token the index, among the visual tokens, of the token that it was merged into at last; its own
        index while it stood for itself; shape ``(visual,)``.
    steps : list of Step
        The reductions in order.
    start : int
        Where the prompt begins in its conversation: the tokens before it that are no padding.
    decoded : list of Step or None
        Per step of decoding, which visual tokens the site's layer and later ones read; None: all that they hold. Empty
        for methods that do not choose while they decode.
    """

    layout: Layout
    tokens_per_layer: list[int]
    visual_per_layer: list[int]
    last_layer: Tensor
    anchor: Tensor
    steps: list[Step] = field(default_factory=list)
    start: int = 0
    decoded: list[Step | None] = field(default_factory=list)

    @property
    def visual(self) -> int:
        """Visual tokens of the unreduced prompt, with those that the model's own processor had taken away."""
        return len(self.layout.visual) + self.layout.gone

    @property
    def shares(self) -> tuple[float, float, float]:
        """Share of visual tokens kept: at the entrance, mean over layers, at the last layer (1 if there are none)."""
        if not self.visual:
            return 1.0, 1.0, 1.0
        kept = [n / self.visual for n in self.visual_per_layer]
        return kept[0], sum(kept) / len(kept), kept[-1]


@dataclass
class Trace:
    """The most recent prefill under `attach`.

    Parameters
    ----------
    prompts : list of PromptTrace
        In batch order.
    turns : list
        One such list for each prefill of the conversation, the most recent last.
    frames : dict of TowerPass
        What happened in each vision tower, see `Span.tower`; empty for methods that do not act there.
    """

    prompts: list[PromptTrace] = field(default_factory=list)
    turns: list[list[PromptTrace]] = field(default_factory=list)
    frames: dict[int, TowerPass] = field(default_factory=dict)


class Recorder:
    """Collects one prompt's trace while its prefill runs."""

    def __init__(self, layout: Layout, start: int = 0) -> None:
        self.layout, self.start = layout, start
        self.removed_at = torch.full((layout.length,), -1)
        self.anchor = torch.arange(len(layout.visual))
        self.size = torch.ones(layout.length, dtype=torch.long)
        self.tokens: list[int] = []
        self.visual: list[int] = []
        self.steps: list[Step] = []
        self._seen: Tensor | None = None
        self._visual = 0

    def layer(self, index: Tensor) -> None:
        """Note the prompt indices that the next layer processes."""
        if index is not self._seen:
            self._seen, self._visual = index, int(self.layout.is_visual[index].sum())
        self.tokens.append(len(index))
        self.visual.append(self._visual)

    def remove(self, index: Tensor, layer: int) -> None:
        """Note the prompt indices that are gone from the input of `layer` on."""
        self.removed_at[index] = layer

    def merge(self, visual: Tensor, keep: Tensor, weights: Tensor) -> None:
        """Note that the visual tokens at prompt indices `visual` were merged into anchors `keep` by `weights`."""
        rank = torch.full((self.layout.length,), -1)
        rank[self.layout.visual] = torch.arange(len(self.layout.visual))
        self.anchor, self.size[keep] = merged(weights, rank[visual], rank[keep], self.anchor, self.size[visual])

    def finish(self) -> PromptTrace:
        """Close the trace after the last layer."""
        gone = self.removed_at[self.layout.visual]
        last = torch.where(gone < 0, len(self.tokens) - 1, gone - 1)
        return PromptTrace(self.layout, self.tokens, self.visual, last, self.anchor, self.steps, self.start)

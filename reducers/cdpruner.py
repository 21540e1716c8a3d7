"""CDPruner: keep the tokens that are relevant to the text and unlike each other, by a determinantal point process.

Zhang et al., "Beyond Attention or Similarity: Maximizing Conditional Diversity for Token Pruning in MLLMs" (NeurIPS
2025). This is the form without CLIP's text tower that OpenVINO GenAI ships; the paper takes relevance from that tower,
which Winnow does not load. Its kernel is r_i S_ij r_j over the whole picture; its code scales r over the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import torch

from winnow.reducers.core.entrance import Chooser
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import determinant
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.reduction import View
from winnow.reducers.core.site import Site

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-6
"""Added where the engine divides."""


@dataclass(frozen=True)
class CDPruner(Chooser):
    """Relevance r is the mean cosine to the embeddings of the text, scaled to 0..1; S holds the cosines of the tokens.

    The engine leaves the markers around a picture out of the text; here everything is text that is neither visual nor a
    separator.

    Parameters
    ----------
    ratio : float
        Share of each part's visual tokens that enters the LLM, rounded (a half upwards), then up to an even number.
    weight : float
        Of relevance, 0..1: at 0 diversity alone counts, at 1 the kernel is the paper's.
    blend : {"linear", "exponential"}
        How the weight w acts. linear, where the engine's compiled kernel runs: ``(1 - w) S_ij + w r_i S_ij r_j``.
        exponential, its fallback and a comment of the official code: ``exp(a r_i) S_ij exp(a r_j)``, a = w / (2 - 2 w),
        except at 0 and 1.
    split : bool
        Choose half of the tokens among the first half of a part, scaled by itself, and half among the second.
    parts : {"frame", "span"}
        Choose in each frame on its own (the engine's default), or in a whole span.
    variant : {"embedding"}
        Whose relevance: see above.
    positions : {"keep", "compact"}
        Engine: keep. Official code: compact.
    """

    weight: float = 0.5
    blend: Literal["linear", "exponential"] = "linear"
    split: bool = True
    parts: Literal["frame", "span"] = "frame"
    variant: Literal["embedding"] = "embedding"

    def __post_init__(self) -> None:
        """Check the numbers, then the choices."""
        if not 0 <= self.weight <= 1:
            raise WinnowError(f"reducer.weight={self.weight} is not allowed: choose a weight, 0 <= weight <= 1")
        super().__post_init__()

    @property
    def by_frame(self) -> bool:  # type: ignore[override]
        """Whether all frames keep equally many."""
        return self.parts == "frame"

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`."""
        frames, size = self._parts(grid)
        return present if self.ratio >= 1 else min(present, frames * self._kept(size))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: the kernels, then one row of a Cholesky factor per pick."""
        frames, size = self._parts(grid)
        halves = 1 + self.split
        own, picks = size / halves, self._kept(size) / halves
        return frames * halves * (2 * own**2 * width.hidden + own * picks**2)

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """See `Chooser.choose`."""
        text = torch.ones(view.layout.length, dtype=torch.bool)
        text[view.layout.separators] = False
        spoken = text[view.index] & ~view.layout.is_visual[view.index]
        words = _unit(view.hidden[spoken.to(view.hidden.device)].to(tokens.dtype))
        size, kept = self._parts(span.grid)[1], []
        for start in range(0, len(tokens), size):
            count, middle = self._kept(size), start + size // 2
            halves = ((start, middle, count // 2), (middle, start + size, count - count // 2))
            for first, last, share in halves if self.split else ((start, start + size, count),):
                if share:
                    picks = partial(self._picks, tokens[first:last], words)
                    key = ("determinant", first, last, self.weight, self.blend)
                    kept.append(first + view.ranked(key, share, picks))
        return torch.cat(kept).sort().values

    def _picks(self, tokens: Tensor, words: Tensor, count: int) -> Tensor:
        return determinant(self._kernel(tokens, words), count, EPSILON)

    def _parts(self, grid: Grid) -> tuple[int, int]:
        """Parts of a span, and tokens in each."""
        return (grid.frames, grid.tokens_per_frame) if self.parts == "frame" else (1, grid.tokens)

    def _kept(self, size: int) -> int:
        """Tokens that a part keeps."""
        rounded = max(1, int(size * self.ratio + 0.5))
        return min(size, rounded + rounded % 2)

    def _kernel(self, tokens: Tensor, words: Tensor) -> Tensor:
        tokens = _unit(tokens)
        alike = tokens @ tokens.mT
        relevance = tokens @ words.mean(0) if len(words) else tokens.new_zeros(len(tokens))
        relevance = (relevance - relevance.min()) / (relevance.max() - relevance.min() + EPSILON)
        if self.blend == "exponential" and 0 < self.weight < 1:
            relevance = (self.weight / (2 - 2 * self.weight) * relevance).exp()
            return relevance[:, None] * alike * relevance
        return (1 - self.weight) * alike + self.weight * relevance[:, None] * alike * relevance


def _unit(tokens: Tensor) -> Tensor:
    return tokens / (tokens.square().sum(-1, keepdim=True) + EPSILON).sqrt()

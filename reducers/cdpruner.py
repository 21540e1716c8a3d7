"""CDPruner: keep the tokens that are relevant to the text and unlike each other, by a determinantal point process.

Zhang et al., "Beyond Attention or Similarity: Maximizing Conditional Diversity for Token Pruning in MLLMs" (NeurIPS
2025); official `clip_encoder.py` and `llava_arch.py`. They take relevance from CLIP's text tower (``variant=clip``).
The default is the form without it that OpenVINO GenAI ships, for models whose tower has none beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from winnow.reducers.core.entrance import Chooser
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.greedy import determinant, unit
from winnow.reducers.core.layout import Grid, Span, Width
from winnow.reducers.core.merger import told_by_tower
from winnow.reducers.core.reduction import View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower, TowerProbe
from winnow.reducers.core.tower_methods import check_checkpoint, text_probe

if TYPE_CHECKING:
    from torch import Tensor

EPSILON = 1e-6
"""Added where the engine divides, and by the official code to what it divides."""
LEAST = 1e-12
"""Added in place of that where the official code divides, which does by zero where all relevance is equal."""
ENGINE = {"weight": 0.5, "split": True, "positions": "keep"}
BY_CLIP = {"weight": 1.0, "split": False, "positions": "compact"}
"""What the variants decide where nothing is said."""
USUAL = "openai/clip-vit-large-patch14-336"
"""The checkpoint that LLaVA's vision tower comes from."""


@dataclass(frozen=True)
class CDPruner(Chooser):
    """Relevance r to the text is scaled to 0..1; S holds the cosines of the tokens.

    By embeddings r is the mean cosine of a token to all text that is neither visual nor a separator (the engine leaves
    the markers around a picture out, too). By CLIP it is that of the patch to the question, the mean over the pieces of
    77 tokens in which a long one is read, negated, as patches of CLIP answer a text the wrong way round.

    Parameters
    ----------
    ratio : float
        Share of each part's visual tokens that enters the LLM, rounded (a half upwards); by embeddings then up to an
        even number.
    variant : {"embedding", "clip", "official"}
        Whose relevance. ``official``: by CLIP, and as in its code scaled over all pictures that are encoded together,
        here those of a prompt; ``clip`` scales each part by itself. Where more tokens are asked for than their space
        has dimensions, the code soon picks the same two again and again, so that fewer stay; ``clip`` picks each once.
    text_tower : str or None
        By CLIP: a checkpoint with the text tower that belongs to the model's vision tower, see `TextMatch`.
    weight : float or None
        Of relevance, 0..1: at 0 diversity alone counts, at 1 the kernel is the paper's, ``r_i S_ij r_j``. None: 0.5
        (engine), by CLIP 1.
    blend : {"linear", "exponential"}
        How the weight w acts. linear, where the engine's compiled kernel runs: ``(1 - w) S_ij + w r_i S_ij r_j``.
        exponential, its fallback and a comment of the official code: ``exp(a r_i) S_ij exp(a r_j)``, a = w / (2 - 2 w),
        except at 0 and 1.
    split : bool or None
        Choose half of the tokens among the first half of a part, scaled by itself, and half among the second. None:
        true (engine), by CLIP false.
    parts : {"frame", "span"}
        Choose in each frame on its own (the engine's default, and the official code's pictures), or in a whole span.
    positions : {"compact", "keep"} or None
        None: keep (engine), by CLIP compact.
    """

    checkpoints: ClassVar[tuple[str, ...]] = ("text_tower",)

    variant: Literal["embedding", "clip", "official"] = "embedding"
    text_tower: str | None = None
    weight: float | None = None
    blend: Literal["linear", "exponential"] = "linear"
    split: bool | None = None
    parts: Literal["frame", "span"] = "frame"
    positions: Literal["compact", "keep"] | None = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        """Say what the variant decides, check the numbers, then the choices."""
        check_checkpoint(self.variant, self.by_clip, "text_tower", self.text_tower, USUAL)
        for name, value in (BY_CLIP if self.by_clip else ENGINE).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        if self.weight is None or not 0 <= self.weight <= 1:
            raise WinnowError(f"reducer.weight={self.weight} is not allowed: choose a weight, 0 <= weight <= 1")
        super().__post_init__()

    @property
    def by_clip(self) -> bool:
        """Whether relevance comes from CLIP's text tower."""
        return self.variant != "embedding"

    @property
    def by_frame(self) -> bool:  # type: ignore[override]
        """Whether all frames keep equally many."""
        return self.parts == "frame"

    @property
    def adaptive(self) -> bool:  # type: ignore[override]
        """Whether the picture decides the count: in the official code, which may pick tokens again."""
        return self.variant == "official"

    def tower_probes(self, tower: Tower) -> tuple[tuple[TowerProbe, int], ...]:
        """See `Reducer.tower_probes`."""
        return () if self.text_tower is None else text_probe(self.text_tower, tower)

    def count(self, site: Site, grid: Grid, present: int) -> int:
        """See `Reducer.count`; the most for the official code."""
        frames, size = self._parts(grid)
        return present if self.ratio >= 1 else min(present, frames * self._kept(size))

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        """See `Reducer.work`: the kernels, then one row of a Cholesky factor per pick."""
        frames, size = self._parts(grid)
        halves = 2 if self.split else 1
        own, picks = size / halves, self._kept(size) / halves
        return frames * halves * (2 * own**2 * width.hidden + own * picks**2)

    def choose(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """See `Chooser.choose`."""
        tokens = tokens.to(view.hidden.dtype) if self.variant == "official" else tokens
        relevance, kept = self._relevance(tokens, span, view), []
        size = self._parts(span.grid)[1]
        for start in range(0, len(tokens), size):
            count, middle = self._kept(size), start + size // 2
            halves = ((start, middle, count // 2), (middle, start + size, count - count // 2))
            for first, last, share in halves if self.split else ((start, start + size, count),):
                if share:
                    picks = partial(self._picks, tokens[first:last], relevance[first:last])
                    key = ("determinant", first, last, self.variant, self.text_tower, self.weight, self.blend)
                    kept.append(first + view.ranked(key, share, picks))
        return torch.cat(kept).unique()

    def _parts(self, grid: Grid) -> tuple[int, int]:
        """Parts of a span, and tokens in each."""
        return (grid.frames, grid.tokens_per_frame) if self.parts == "frame" else (1, grid.tokens)

    def _kept(self, size: int) -> int:
        """Tokens that a part keeps."""
        rounded = max(1, int(size * self.ratio + 0.5))
        return min(size, rounded + (0 if self.by_clip else rounded % 2))

    def _relevance(self, tokens: Tensor, span: Span, view: View) -> Tensor:
        """How much each token has to do with the text, shape ``(len(span),)``; official: scaled already."""
        if self.by_clip:
            alike = -told_by_tower(view)[-1].to(tokens.device, torch.promote_types(tokens.dtype, torch.float32))
            own = alike[span.positions]
            return own if self.variant == "clip" else _scaled(own, alike[view.layout.visual], EPSILON, LEAST)
        text = torch.ones(view.layout.length, dtype=torch.bool)
        text[view.layout.separators] = False
        spoken = text[view.index] & ~view.layout.is_visual[view.index]
        words = _unit(view.hidden[spoken.to(view.hidden.device)].to(tokens.dtype))
        return _unit(tokens) @ words.mean(0) if len(words) else tokens.new_zeros(len(tokens))

    def _picks(self, tokens: Tensor, relevance: Tensor, count: int) -> Tensor:
        if self.by_clip:
            relevance = relevance if self.variant == "official" else _scaled(relevance, relevance, EPSILON, LEAST)
            return determinant(
                self._kernel(unit(tokens).to(relevance.dtype), relevance), count, 0, self.variant == "official"
            )
        return determinant(self._kernel(_unit(tokens), _scaled(relevance, relevance, 0, EPSILON)), count, EPSILON)

    def _kernel(self, tokens: Tensor, relevance: Tensor) -> Tensor:
        alike, weight = tokens @ tokens.mT, self.weight or 0
        if self.blend == "exponential" and 0 < weight < 1:
            relevance = (weight / (2 - 2 * weight) * relevance).exp()
            return relevance[:, None] * alike * relevance
        return (1 - weight) * alike + weight * relevance[:, None] * alike * relevance


def _unit(tokens: Tensor) -> Tensor:
    return tokens / (tokens.square().sum(-1, keepdim=True) + EPSILON).sqrt()


def _scaled(values: Tensor, among: Tensor, above: float, below: float) -> Tensor:
    """Values between the lowest and the highest of some, so much added above and below the line."""
    return (values - among.min() + above) / (among.max() - among.min() + below)

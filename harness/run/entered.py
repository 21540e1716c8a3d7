"""What entered the LLM: visual tokens of outlying norm, and how many directions those that stay span."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor

from winnow.models.engine import PromptTrace
from winnow.models.loading.load import Loaded

OUTLYING = 2.0
"""Times the median norm of a prompt's visual tokens: a convention, as models differ in how far sinks stand out."""
MOST = 128
"""Tokens of which the effective rank is taken: of more, as many that are evenly spaced."""
DIGITS = 4


class Entered(NamedTuple):
    """Of one prompt: places of outlying norm among its visual tokens, and the effective rank of those that stay."""

    sinks: list[int]
    rank: float | None


@contextmanager
def entering(loaded: Loaded) -> Iterator[list[Tensor]]:
    """Keep the embeddings of the next prefill, ``(batch, n, width)``, as they are before a method acts on them.

    Enter it before `attach`, whose own hooks then come later.
    """
    found: list[Tensor] = []

    def look(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if not found:
            found.append(kwargs["inputs_embeds"].detach())

    handle = loaded.family.parts(loaded.model).llm.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield found
    finally:
        handle.remove()


def look_at(embeds: Tensor, paths: Sequence[PromptTrace]) -> list[Entered]:
    """Look at the visual tokens of each prompt.

    Parameters
    ----------
    embeds : Tensor
        Shape ``(prompts, n, width)``, padded on the left.
    paths : sequence of PromptTrace
        What became of them.
    """
    return [_look_at(row[row.shape[0] - path.layout.length :], path) for row, path in zip(embeds, paths, strict=True)]


def _look_at(embeds: Tensor, path: PromptTrace) -> Entered:
    visual = embeds[path.layout.visual.to(embeds.device)]
    if not len(visual):
        return Entered([], None)
    norms = visual.float().norm(dim=-1)
    stay = (path.last_layer >= len(path.visual_per_layer) - 1).to(visual.device)
    return Entered((norms > OUTLYING * norms.median()).nonzero().flatten().tolist(), effective_rank(visual[stay]))


def effective_rank(vectors: Tensor) -> float | None:
    """Exponential of the entropy of the singular values (Roy and Vetterli 2007); None of no vector, or of zeros.

    Parameters
    ----------
    vectors : Tensor
        Shape ``(n, width)``, as they are: not centred, not scaled.
    """
    if len(vectors) > MOST:
        vectors = vectors[torch.linspace(0, len(vectors) - 1, MOST).round().long().to(vectors.device)]
    wide = vectors.double()
    gram = wide @ wide.T if len(wide) <= wide.shape[1] else wide.T @ wide
    values = torch.linalg.eigvalsh(gram.cpu()).clamp(min=0).sqrt() if len(wide) else torch.zeros(0)
    total = float(values.sum())
    if not total > 0:
        return None
    return round(float(torch.special.entr(values / total).sum().exp()), DIGITS)

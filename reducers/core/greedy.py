"""Greedy choices that several methods share: the farthest token, the widest coverage, the largest determinant."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 200 * 2**20
"""Bytes of the largest matrix of all pairs that is held at once; beyond it rows are computed as they are needed."""


ASKED, CACHED = 32, 2**16
"""Tokens that are asked at once what they would add, and the most numbers of theirs, which stay in a CPU's cache."""


def unit(tokens: Tensor) -> Tensor:
    """Tokens of length one; a zero vector stays zero, and so is similar to nothing (cosine 0)."""
    return torch.nn.functional.normalize(tokens, dim=-1, eps=torch.finfo(tokens.dtype).tiny)


class Cosines:
    """Rows of the matrix of cosines between tokens, without holding more than `LARGEST` bytes of it.

    Parameters
    ----------
    tokens : Tensor
        Shape ``(n, width)``.
    """

    def __init__(self, tokens: Tensor) -> None:
        self._unit = unit(tokens)
        size = len(tokens) ** 2 * tokens.element_size()
        self._all = self._unit @ self._unit.mT if size <= LARGEST else None

    def row(self, place: Tensor) -> Tensor:
        """Cosines of one token with all, shape ``(n,)``."""
        return self._unit @ self._unit[place] if self._all is None else self._all[place]

    def columns(self) -> Iterator[Tensor]:
        """All columns, as many at once as may be held; blocks of shape ``(n, columns)``."""
        if self._all is not None:
            yield self._all
            return
        wide = max(1, LARGEST // (len(self._unit) * self._unit.element_size()))
        for block in self._unit.split(wide):
            yield self._unit @ block.mT


def max_min(tokens: Tensor, count: int, again: bool = False, weight: Tensor | None = None) -> Tensor:
    """Pick the token whose nearest other is farthest, then again and again the one farthest from all picks (DivPrune).

    Distances are 1 - cosine; the distance to the nearest pick is kept up to date, so that a pick costs one row.
    "Nearest other" is the second nearest of all, as the official codes take it.

    Parameters
    ----------
    tokens : Tensor
        Shape ``(n, width)``.
    count : int
        Picks.
    again : bool
        Whether a token may be picked again once only duplicates of picks are left, as in the official code.
    weight : Tensor or None
        Factor on each token's distances to the others, shape ``(n,)``; None: 1 (FlashVID: what it is worth).

    Returns
    -------
    Tensor
        Places in the order of the picks, ties to the lower place, shape ``(count,)``, on the CPU.
    """
    cosines, picks, second, start = Cosines(tokens), [], [], 0
    for block in cosines.columns():
        far = _scaled(1 - block, None if weight is None else weight[start : start + block.shape[1]])
        second.append(far.topk(min(2, len(tokens)), 0, largest=False).values[-1])
        start += block.shape[1]
    nearest, far = torch.cat(second), torch.full((len(tokens),), math.inf, dtype=tokens.dtype, device=tokens.device)
    for _ in range(count):
        picks.append(nearest.argmax())
        far = torch.minimum(far, _scaled(1 - cosines.row(picks[-1]), weight))
        if not again:
            far[picks[-1]] = -math.inf
        nearest = far
    return torch.stack(picks).cpu() if picks else torch.empty(0, dtype=torch.long)


def _scaled(distances: Tensor, weight: Tensor | None) -> Tensor:
    return distances if weight is None else distances * weight


def coverage(stands: Tensor, count: int, weight: Tensor) -> Tensor:
    """Pick again and again the token that adds most to what the picks are similar to (facility location).

    What a token adds only falls, so that what it added once bounds it: only tokens whose bound is among the largest are
    asked anew.

    Parameters
    ----------
    stands : Tensor
        Row j says how well token j stands for what is to be covered, shape ``(n, m)``; below zero: not at all.
    count : int
        Picks, at most n.
    weight : Tensor
        Factor on what each token adds, not below zero, shape ``(n,)``.

    Returns
    -------
    Tensor
        Places in the order of the picks, ties to the lower place, shape ``(count,)``, on the CPU.
    """
    covered, picks = stands.new_zeros(stands.shape[1]), []
    most = max(1, min(ASKED, len(stands), CACHED // max(1, stands.shape[1])))
    bound = torch.cat([part.clamp_min(0).sum(1) for part in stands.split(most)]) * weight
    asked = torch.zeros(len(stands), dtype=torch.long, device=stands.device)
    for step in range(count):
        while int(asked[best := bound.argmax()]) != step:
            anew = torch.cat([best[None], bound.topk(most).indices])
            bound[anew] = bound[anew].minimum((stands[anew] - covered).clamp_min(0).sum(1) * weight[anew])
            asked[anew] = step
        picks.append(best)
        bound[best] = -math.inf
        covered = torch.maximum(covered, stands[best])
    return torch.stack(picks).cpu() if picks else torch.empty(0, dtype=torch.long)


def determinant(kernel: Tensor, count: int, epsilon: float, again: bool = False) -> Tensor:
    """Pick again and again the token that makes the determinant of the picks' kernel largest (greedy DPP).

    By one row of the Cholesky factor per pick; what is left of a token's own value is kept up to date.

    Parameters
    ----------
    kernel : Tensor
        Symmetric, shape ``(n, n)``.
    count : int
        Picks, at most n.
    epsilon : float
        Is added to what is left of a pick's own value before the root is taken; with 0 a pick of which nothing is left
        takes nothing from the others. Once nothing is left of any token, all lie in the space of the picks, and the
        order is that of rounding; yet each is picked once.
    again : bool
        Do then as the official code of CDPruner, which takes the root of what rounding has left below nothing: nothing
        is known of any token any more, and the first two are picked in turn.

    Returns
    -------
    Tensor
        Places in the order of the picks, ties to the lower place, shape ``(count,)``, on the CPU.
    """
    left, factor, picks = kernel.diagonal().clone(), kernel.new_zeros(count, len(kernel)), []
    taken = torch.zeros(len(kernel), dtype=torch.bool, device=kernel.device)
    for step in range(count):
        best = (left if again else left.masked_fill(taken, -math.inf)).argmax()
        picks.append(best)
        taken[best] = True
        if step + 1 < count:
            seen = factor[:step, None]
            if again:  # by the official code's own operation, as its rounding decides what is picked again
                row = kernel[best] - torch.einsum("tb,tbn->bn", seen[..., best], seen)[0]
                root = left[best].sqrt()
            else:
                row = kernel[best] - factor[:step, best] @ factor[:step]
                root = (left[best].clamp_min(0) + epsilon).sqrt()
            factor[step] = row / root if epsilon or again else torch.where(root > 0, row / root, 0)
            left = left - factor[step].square()
            left[best] = -math.inf if again else left[best]
    return torch.stack(picks).cpu() if picks else torch.empty(0, dtype=torch.long)

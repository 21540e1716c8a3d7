"""Clusters that several methods share: density peaks among tokens, segments of a video, labels made contiguous."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise, takewhile
from typing import TYPE_CHECKING

import torch

from winnow.reducers.core.greedy import Cosines

if TYPE_CHECKING:
    from torch import Tensor


def density_peaks(tokens: Tensor, clusters: int, neighbours: int, raster: bool = False) -> tuple[Tensor, Tensor]:
    """Cluster tokens around those that are dense and far from denser ones (DPC-kNN).

    Distances are Euclidean over the root of the width; density is exp of minus the mean square distance to the nearest
    tokens, itself included; a token's score is density times the distance to the nearest denser token, or the largest
    distance of all where there is none. Of equally dense tokens the lower place counts as denser, which official codes
    leave to added noise.

    Parameters
    ----------
    tokens : Tensor
        Shape ``(n, width)``.
    clusters : int
        Clusters, at most n.
    neighbours : int
        Nearest tokens, itself included; at most n count.
    raster : bool
        Whether the centres come by their places.

    Returns
    -------
    tuple of Tensor
        Places of the centres by falling score, ties to the lower place, ``(clusters,)``; and the cluster of each token,
        that of the nearest centre, the first of them where several are, ``(n,)``; on the CPU.
    """
    distance = torch.cdist(tokens, tokens) / tokens.shape[1] ** 0.5
    nearest = distance.topk(min(neighbours, len(tokens)), largest=False).values
    density = nearest.square().mean(1).neg().exp()
    place = torch.arange(len(tokens), device=tokens.device)
    denser = (density > density[:, None]) | ((density == density[:, None]) & (place < place[:, None]))
    apart = torch.where(denser, distance, distance.max()).min(1).values
    centres = (apart * density).sort(descending=True, stable=True).indices[:clusters]
    centres = centres.sort().values if raster else centres
    cluster = distance[centres].argmin(0)
    cluster[centres] = place[:clusters]
    return centres.cpu(), cluster.cpu()


def bounded_peaks(tokens: Tensor, cutoff: float) -> Tensor:
    """Centres that lie farther apart than a distance, the densest first (PACT's bounded density peaks).

    Distances are 1 - cosine; density is the sum over all tokens of exp of minus the square of half the distance. From
    the densest token on, each that is farther than `cutoff` from all centres becomes one. The official code finds them
    by rounds, in which every token without a denser one near it becomes a centre: these are the same.

    Parameters
    ----------
    tokens : Tensor
        Shape ``(n, width)``.
    cutoff : float
        Below 0 every token is a centre.

    Returns
    -------
    Tensor
        Places by falling density, of equally dense ones the last first, ``(centres,)``, on the CPU.
    """
    cosines, centres = Cosines(tokens), []
    blocks = [(1 - block).clamp_min(0).div(2).square().neg().exp().sum(0) for block in cosines.columns()]
    left = torch.cat(blocks).sort(stable=True).indices.flip(0)
    while len(left):
        centres.append(left[0])
        left = left[1:]
        left = left[(1 - cosines.row(centres[-1])[left]) > cutoff] if cutoff >= 0 else left
    return torch.stack(centres).cpu() if centres else torch.empty(0, dtype=torch.long)


def segments(alike: Tensor, least: int, tau: float) -> list[tuple[int, int]]:
    """Cut a video where neighbouring frames are least alike (FastVID, FlashVID).

    Parameters
    ----------
    alike : Tensor
        How similar each frame is to the next, shape ``(frames - 1,)``.
    least : int
        Segments that there are at least, as far as there are frames; ties go to the earlier cut.
    tau : float
        Frames less alike are always cut apart.

    Returns
    -------
    list of (int, int)
        First frame of each segment, and the one behind its last.
    """
    cut = (alike < tau).index_fill_(0, alike.argsort(stable=True)[: max(0, least - 1)], True)
    ends = [0, *(cut.nonzero().flatten() + 1).tolist(), len(alike) + 1]
    return list(pairwise(ends))


def contiguous(labels: Sequence[int]) -> list[int]:
    """Give every label but one piece of frames each, as PruneVid does.

    A label keeps its longest pieces, if they are longer than one frame; what lies between, from left to right, goes to
    the neighbour that is longer by then, to the left one if both are equally long; to label 0 if there is none.
    """
    pieces = [(label, len(list(piece))) for label, piece in groupby(labels)]
    longest = {label: max(size for other, size in pieces if other == label) for label, _ in pieces}
    given: list[int | None] = []
    for label, size in pieces:
        given += [label if size == longest[label] > 1 else None] * size
    for start, owner in enumerate(given):
        if owner is None:
            stop = next((i for i in range(start, len(given)) if given[i] is not None), len(given))
            left, right = given[:start][::-1], given[stop:]
            nearer = left if _alike(left) >= _alike(right) else right
            given[start:stop] = [nearer[0] if nearer else 0] * (stop - start)
    return [label or 0 for label in given]


def _alike(labels: list[int | None]) -> int:
    """How many labels at the beginning are the same."""
    return len(list(takewhile(lambda label: label == labels[0], labels)))


def components(linked: Tensor) -> Tensor:
    """The connected component of each node: the lowest node that it can be reached from, shape ``(n,)``, on the CPU.

    Parameters
    ----------
    linked : Tensor
        Symmetric, boolean, shape ``(n, n)``.
    """
    lowest = torch.arange(len(linked), device=linked.device)
    unseen = linked.sum(1) > linked.diagonal().long()  # who is linked to itself alone is alone
    while bool(unseen.any()):
        first = unseen.nonzero()[0]
        front = reached = torch.zeros_like(unseen).index_fill_(0, first, True)
        while bool(front.any()):
            front = linked[front].any(0) & ~reached
            reached = reached | front
        lowest[reached] = first
        unseen = unseen & ~reached
    return lowest.cpu()

"""Density peaks and segments written as loops, for the methods that merge by them."""

import math
from itertools import pairwise

import torch
from tokens import Rows, cosine


def peaks(tokens: Rows, clusters: int, k: int = 7) -> list[list[int]]:
    """Clusters by falling score, the centre first."""
    n, width = len(tokens), len(tokens[0])
    apart = [[math.dist(a, b) / math.sqrt(width) for b in tokens] for a in tokens]
    density = [math.exp(-sum(x * x for x in sorted(row)[:k]) / min(k, n)) for row in apart]
    largest, score = max(map(max, apart)), []
    for i in range(n):
        denser = [apart[i][j] for j in range(n) if (density[j], -j) > (density[i], -i)]
        score.append(density[i] * min(denser, default=largest))
    centres = sorted(range(n), key=lambda i: (-score[i], i))[:clusters]
    made = [[centre] for centre in centres]
    for i in range(n):
        if i not in centres:
            made[min(range(clusters), key=lambda c: (apart[centres[c]][i], c))].append(i)
    return made


def segments(means: Rows, least: int, tau: float) -> list[range]:
    """Frames of each segment: cut at the `least - 1` lowest cosines, and below `tau`."""
    alike = [cosine(a, b) for a, b in pairwise(means)]
    lowest = sorted(range(len(alike)), key=lambda i: (alike[i], i))[: least - 1]
    cuts = [i + 1 for i in range(len(alike)) if i in lowest or alike[i] < tau]
    return [range(a, b) for a, b in pairwise([0, *cuts, len(means)])]


def mean(rows: Rows) -> list[float]:
    return [sum(column) / len(rows) for column in zip(*rows, strict=True)]


def video(seed: int, frames: int, per: int) -> torch.Tensor:
    """Scenes with still and moving places."""
    random = torch.Generator().manual_seed(seed)
    scene = torch.randn(3, per, 5, generator=random, dtype=torch.double)[torch.arange(frames) * 3 // frames]
    moving = torch.rand(per, generator=random) < 0.5
    noise = torch.randn(frames, per, 5, generator=random, dtype=torch.double)
    return scene + noise * torch.where(moving, 1.0, 0.1)[:, None]

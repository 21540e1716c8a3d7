"""V-CAST against its released code, written as loops."""

import math
from itertools import pairwise

import torch
from peaks import mean, video
from seeds import seeds
from tokens import Rows, cosine, left

from winnow.reducers.core.layout import Grid
from winnow.reducers.vcast import VCast


def shares(means: Rows, total: int, size: int, spread: bool) -> list[int]:
    """Tokens of each frame: the floor of its part, and what is left to one frame after the other."""
    units = [[x / max(math.hypot(*row), 1e-6) for x in row] for row in means]
    steps = [[b - a for a, b in zip(*pair, strict=True)] for pair in pairwise(units)]
    turns = [1.0, *(1 - cosine(a, b) for a, b in pairwise(steps)), 1.0]
    weights = [math.exp(turn / 0.7) for turn in turns]
    parts = [weight / sum(weights) * (total - len(means)) for weight in weights]
    given = [min(size, 1 + math.floor(part)) for part in parts]
    rank = sorted(range(len(parts)), key=lambda f: (-(parts[f] - math.floor(parts[f])), f))
    while sum(given) < total:
        for f in [f for f in rank if given[f] < size]:
            if sum(given) < total:
                given[f] += 1 if spread else min(total - sum(given), size - given[f])
    return given


@seeds(200)
def test_it_is_the_released_code(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    count, size = (int(n) for n in torch.randint(2, 9, (2,), generator=random))
    frames = video(seed, count, size)
    method = VCast(ratio=[0.25, 0.6, 0.9, 0.05][seed % 4], rest="spread" if seed % 3 else "one")
    total, expected = max(count, round(count * size * method.ratio)), []
    means = [mean(frame) for frame in frames.tolist()]
    for f, kept in enumerate(shares(means, min(total, count * size), size, bool(seed % 3))):
        norms = [math.hypot(*token) for token in frames[f].tolist()]
        low, high = min(norms), max(norms)
        score = [
            1 - cosine(token, means[f]) + (n - low) / (high - low + 1e-6)
            for token, n in zip(frames[f].tolist(), norms, strict=True)
        ]
        expected += sorted(f * size + p for p in sorted(range(size), key=lambda p: (-score[p], p))[:kept])
    assert left(method, frames.flatten(0, 1), (count, 1, size)) == expected


def test_the_whole_rest_goes_to_one_frame() -> None:
    """Equal weights, 13 tokens, 5 frames."""
    means = torch.eye(5).double()
    ends = VCast(0.1)._given(torch.zeros(5, 3).double(), 13, 9)
    assert sum(ends) == 13 and sorted(ends)[:4] == [2, 2, 2, 2]
    assert sorted(VCast(0.1, rest="spread")._given(means, 13, 9))[-1] == 3
    assert VCast(0.25).plan([Grid(1, 196, 14), Grid(8, 196, 14)], 2) == [196 + 392] * 2

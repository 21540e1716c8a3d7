"""VidCom2 against the released rule and against vLLM's exact counts, both written as loops."""

import math
from dataclasses import replace

import torch
from seeds import seeds
from tokens import Rows, left, natural

from winnow.reducers.vidcom2 import VidCom2


def scores(tokens: Rows, frames: int) -> tuple[list[float], list[float]]:
    """Similarity of each token to the video's mean and to its frame's mean."""
    n, width, per = len(tokens), len(tokens[0]), len(tokens) // frames
    variances = []
    for c in range(width):
        column = [token[c] for token in tokens]
        mean = sum(column) / n
        variances.append(sum((x - mean) ** 2 for x in column) / n)
    channels = sorted(range(width), key=lambda c: (round(variances[c], 12), c))[: max(1, width // 2)]
    units = []
    for token in tokens:
        part = [token[c] for c in channels]
        norm = math.sqrt(sum(x * x for x in part))
        units.append([x / norm if norm else 0.0 for x in part])

    def likeness(index: int, members: range) -> float:
        centre = [sum(units[m][c] for m in members) / len(members) for c in range(len(channels))]
        distance = sum((x - y) ** 2 for x, y in zip(units[index], centre, strict=True))
        return sum(math.exp(-distance / (2 * 2.0**k)) for k in range(-3, 2))

    video = [likeness(i, range(n)) for i in range(n)]
    frame = [likeness(i, range(i // per * per, i // per * per + per)) for i in range(n)]
    return video, frame


def official(tokens: Rows, frames: int, ratio: float) -> tuple[list[int], list[float]]:
    per = len(tokens) // frames
    video, frame = scores(tokens, frames)
    both = [round(a + b, 10) for a, b in zip(video, frame, strict=True)]
    logits = [-sum(video[f * per : f * per + per]) / per / 0.01 for f in range(frames)]
    weights = [math.exp(x - max(logits)) for x in logits]
    shares = [x / sum(weights) for x in weights]
    kept = []
    for f in range(frames):
        share = min(1.0, ratio * (1 + shares[f] - sum(shares) / frames))
        count = max(1, round(share * per))
        kept += sorted(range(f * per, f * per + per), key=lambda i: (both[i], i))[:count]
    return sorted(kept), both


def engine(tokens: Rows, frames: int, q: float) -> list[int]:
    """The official choice, then tokens over all frames are dropped or added until the sum is that of the prompt."""
    kept, both = official(tokens, frames, 1.0 - q)
    total = min(len(tokens), max(frames, int(len(tokens) * (1.0 - q))))
    while len(kept) > total:
        kept.remove(max(kept, key=lambda i: (both[i], -i)))
    while len(kept) < total:
        kept.append(min((i for i in range(len(tokens)) if i not in kept), key=lambda i: (both[i], i)))
    return sorted(kept)


def case(seed: int) -> tuple[torch.Tensor, tuple[int, int, int], float]:
    random = torch.Generator().manual_seed(seed)
    frames, rows, cols = (int(torch.randint(1, most, (), generator=random)) for most in (7, 4, 5))
    cols += 2  # two tokens lie equally far from their mean, but for rounding
    visual = natural(frames * rows * cols, seed)  # tokens that stand twice are tied
    return visual + (seed % 2) * 3, (frames, rows, cols), [0.1, 0.3, 0.5, 0.75, 0.9, 0.99][seed % 6]


@seeds(250)
def test_the_mask_is_vllms(seed: int) -> None:
    visual, grid, q = case(seed)
    assert left(VidCom2(q=q), visual, grid) == engine(visual.tolist(), grid[0], q)


@seeds(150)
def test_official_counts(seed: int) -> None:
    visual, grid, q = case(seed)
    kept, _ = official(visual.tolist(), grid[0], 1 - q)
    assert left(VidCom2(ratio=1 - q, counts="official"), visual, grid) == kept


def test_the_official_sum_is_not_the_budget() -> None:
    sums = [len(left(VidCom2(counts="official"), natural(8 * 40, seed), (8, 5, 8))) for seed in range(5)]
    assert any(count != 80 for count in sums)
    official = VidCom2(ratio=0.3, counts="official")
    assert official.adaptive and not VidCom2().adaptive
    assert official.plan([(8, 45)], 1) == [8 * 14] and replace(official, ratio=0.01).plan([(8, 45)], 1) == [8]


def test_the_floor_is_that_of_one_minus_q() -> None:
    assert VidCom2(q=0.9).plan([(8, 100)], 1) == [79] and VidCom2(ratio=0.1).plan([(8, 100)], 1) == [80]
    assert VidCom2(q=0.99).plan([(8, 20)], 1) == [8]

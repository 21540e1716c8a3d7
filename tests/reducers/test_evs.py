"""EVS against the rule of vLLM and SGLang, written as loops."""

import pytest
import torch
from seeds import seeds
from tokens import Rows, cosine, left, tokens

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.evs import EVS


def engine(tokens: Rows, frames: int, q: float) -> list[int]:
    """What the engine's mask keeps: the first unit whole, then the largest changes, the earliest among equals."""
    per = len(tokens) // frames
    keep = max(per, int(per * frames * (1 - q)))
    change = [255.0 if i < per else 1 - cosine(tokens[i], tokens[i - per]) for i in range(len(tokens))]
    return sorted(sorted(range(len(tokens)), key=lambda i: (-round(change[i], 12), i))[:keep])


@seeds(300)
def test_the_mask_is_the_engines(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    frames, rows, cols = (int(torch.randint(1, top, (), generator=random)) for top in (8, 4, 5))
    q = [0.0, 0.3, 0.5, 0.7, 0.9, 0.99][seed % 6]
    visual = tokens(frames * rows * cols, seed)
    kept = engine(visual.tolist(), frames, q)
    assert left(EVS(q=q), visual, (frames, rows, cols)) == kept
    if q in (0.5, 0.75):
        assert left(EVS(ratio=1 - q), visual, (frames, rows, cols)) == kept


@pytest.mark.parametrize(("frames", "count"), [(1, 196), (2, 196), (3, 196), (4, 235), (16, 940)])
def test_counts_of_short_videos(frames: int, count: int) -> None:
    assert EVS(q=0.7).plan([(frames, 196)], 1) == [count]


def test_q_is_a_share() -> None:
    with pytest.raises(WinnowError, match="1-q="):
        EVS(q=1.0)
    assert EVS(q=0.7).keep_all() == EVS(ratio=1.0)

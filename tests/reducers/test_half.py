"""In half precision scores take few values, so that a choice depends on the type in which they are computed.

Released codes and engines compute these in the model's own type; each reference does so, ties to the lower place.
"""

from collections.abc import Callable

import pytest
import torch
from tokens import left
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from winnow.reducers.core.base import Reducer
from winnow.reducers.divprune import DivPrune
from winnow.reducers.dtd import DTD
from winnow.reducers.evs import EVS
from winnow.reducers.vidcom2 import VidCom2

Grid = tuple[int, int, int]


def lowest(values: Tensor, count: int) -> Tensor:
    return values.sort(stable=True).indices[:count]


def places(mask: Tensor) -> list[int]:
    return mask.flatten().nonzero().flatten().tolist()


def unlike_the_frame_before(tokens: Tensor, grid: Grid) -> list[int]:
    """DTD (yaolinli/TimeChat-Online, `modeling_qwen2_5_vl_DTD.py`): away with cosines above the threshold."""
    frames = tokens.unflatten(0, (grid[0], -1))
    gone = cosine_similarity(frames[1:], frames[:-1], dim=-1) > 0.7
    return places(~torch.cat([torch.zeros_like(gone[:1]) if len(gone) else torch.zeros(1, len(tokens)).bool(), gone]))


def most_changed(tokens: Tensor, grid: Grid) -> list[int]:
    """EVS (vLLM, `evs.py`): the least alike of all, and the first frame."""
    frames = tokens.unflatten(0, (grid[0], -1))
    alike = cosine_similarity(frames[1:], frames[:-1], dim=-1)
    unlike = torch.cat([torch.full_like(frames[:1, :, 0], 255), 1 - alike]).flatten()
    return sorted(lowest(-unlike, max(frames.shape[1], int(len(tokens) * 0.4))).tolist())


def gaussian(units: Tensor, centre: Tensor) -> Tensor:
    distance = (units - centre).square().sum(-1)
    return sum((torch.exp(-distance / (2 * 2.0**k)) for k in range(-3, 2)), torch.zeros_like(distance))


def distinctive(tokens: Tensor, grid: Grid) -> list[int]:
    """VidCom2 as vLLM 0.33 runs it (`video_prune/vidcom2.py`): frames' shares, then the sum of the prompt."""
    steady = lowest(tokens.var(0, unbiased=False), tokens.shape[1] // 2).sort().values
    units = normalize(tokens[:, steady].unflatten(0, (grid[0], -1)), dim=-1)
    video = gaussian(units, units.mean((0, 1), keepdim=True))
    both = video + gaussian(units, units.mean(1, keepdim=True))
    logits = -video.mean(1)
    share = ((logits - logits.max()) / 0.01).softmax(0)
    counts = ((0.4 * (1.0 + share - share.mean())).clamp(max=1) * units.shape[1]).round().long().clamp(min=1)
    kept = torch.zeros_like(both, dtype=torch.bool)
    for row, score, count in zip(kept, both, counts.tolist(), strict=True):
        row[lowest(score, count)] = True
    kept, both, total = kept.flatten(), both.flatten(), max(grid[0], int(len(tokens) * 0.4))
    missing = total - int(kept.sum())
    among = (kept if missing < 0 else ~kept).nonzero().flatten()
    kept[among[lowest(both[among] * (1 if missing > 0 else -1), abs(missing))]] = missing > 0
    return places(kept)


def farthest(tokens: Tensor, grid: Grid) -> list[int]:
    """DivPrune (vbdi/divprune, `llava_arch.py`)."""
    units = tokens / tokens.norm(dim=1, keepdim=True)
    distance, picks = 1 - units @ units.mT, list[int]()
    for _ in range(max(1, round(len(tokens) * 0.4))):
        near = distance[picks].amin(0) if picks else distance.topk(2, 0, largest=False).values[1]
        picks.append(int(near.argmax()))
    return sorted(picks)


RULES: dict[Reducer, Callable[[Tensor, Grid], list[int]]] = {
    DTD(tau=0.7): unlike_the_frame_before,
    EVS(ratio=0.4): most_changed,
    VidCom2(ratio=0.4): distinctive,
    DivPrune(ratio=0.4, variant="official"): farthest,
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("method", RULES, ids=lambda method: method.name)
def test_the_choice_is_that_of_the_models_own_type(method: Reducer, dtype: torch.dtype) -> None:
    other = 0
    for seed in range(25):
        random = torch.Generator().manual_seed(seed)
        frames, rows, cols = (int(torch.randint(2, most, (), generator=random)) for most in (6, 6, 7))
        grid = frames, rows, cols
        still = torch.randn(1, rows * cols, 32, generator=random)
        moved = torch.randn(frames, rows * cols, 32, generator=random) * 0.7
        tokens = (still + moved).flatten(0, 1).to(dtype)
        expected = RULES[method](tokens, grid)
        assert left(method, tokens, grid) == expected
        other += RULES[method](tokens.float(), grid) != expected
    assert bool(other) == (dtype == torch.bfloat16) or dtype == torch.float16

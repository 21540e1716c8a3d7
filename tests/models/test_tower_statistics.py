"""The statistics of the vision tower are those of the attention that its blocks really compute."""

from typing import Any

import pytest
import torch
from torch import Tensor

from winnow.models.check.cases import image_prompt, text_prompt, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.engine.tower_pass import TowerPass
from winnow.reducers.cgsm import CGSM
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.tower import ClsRow, ColumnMean, Tower, TowerProbe
from winnow.reducers.core.tower_statistics import mean_attention
from winnow.reducers.prumerge import PruMerge


def test_sizes_count_in_the_smallest_case() -> None:
    tower = Tower(blocks=2, used=2, rows=1, cols=2, cls=True)
    frames = TowerPass(CGSM(r=1), tower, 1)
    frames.size = [torch.tensor([1, 3])]
    zero = torch.zeros(1, 2, 3, 4)
    frames.observe(1, [ClsRow(), ColumnMean()], zero, zero, zero, 0.5)
    for probe in (ClsRow(), ColumnMean()):
        assert torch.allclose(frames.signals[0][probe, 1], torch.tensor([0.2, 0.6]))


@pytest.mark.parametrize("size", [0.1, 2.0, 9.0])
@pytest.mark.parametrize("sized", [False, True])
def test_logits_of_any_length_give_the_softmax(size: float, sized: bool) -> None:
    """Small entries make long vectors together; where their products would overflow, no sum of them is taken."""
    query, key = size * torch.ones(2, 5, 64), size * torch.ones(2, 5, 64)
    key[:, 3:] *= 0.9
    sizes = torch.arange(5.0).log1p() if sized else None
    logits = query.double() @ key.double().mT * 0.5
    expected = (logits if sizes is None else logits + sizes.double()).softmax(-1).mean((0, 1)).float()
    assert torch.allclose(mean_attention(query, key, 0.5, sizes), expected, atol=1e-4)


@pytest.mark.parametrize("family", ["llava", "llava_onevision", "video_llava"])
@pytest.mark.parametrize("method", [CGSM(r=6), CGSM(r=6, guide="mean"), CGSM(r=6, proportional=False)])
def test_statistics_are_those_of_an_eager_tower(family: str, method: Reducer) -> None:
    loaded = tiny_model(family, "eager")
    prompt = image_prompt() if family == "llava" else video_prompt()
    inputs = loaded.family.encode(loaded.processor, [prompt])
    parts = loaded.family.parts(loaded.model)
    model: Any = loaded.model
    towers = parts.towers
    seen: dict[tuple[int, int], Tensor] = {}
    with attach(model, method) as trace, torch.no_grad():
        handles = [
            block.self_attn.register_forward_hook(  # type: ignore[union-attr]
                lambda module, args, output, at=(t, number): seen.update({at: output[1]})
            )
            for t, (_, blocks) in enumerate(towers)
            for number, block in enumerate(blocks)
        ]
        model(**inputs)
    for handle in handles:
        handle.remove()
    checked = 0
    for t, frames in trace.frames.items():
        first = int(frames.tower.cls)
        for f, signals in enumerate(frames.signals):
            for (probe, block), found in signals.items():
                if isinstance(probe, ClsRow | ColumnMean):
                    assert (found - expected(probe, seen[t, block][f], len(found), first)).abs().max() < 1e-5
                    checked += block > 0
    assert checked


def expected(probe: TowerProbe, weights: Tensor, patches: int, first: int) -> Tensor:
    """From the weights ``(heads, n, n)`` of one frame; padding stands on the right."""
    mean = weights.mean(0)[: first + patches, first : first + patches]
    return mean[0] if isinstance(probe, ClsRow) else mean[first:].mean(0)


def test_a_count_over_pictures_takes_one_prompt_at_a_time() -> None:
    """All frames of a prompt take as many; two prompts together are refused, as one would change the other."""
    loaded: Any = tiny_model("llava", "sdpa")
    method = PruMerge(counts="batch", merge=False)
    with torch.no_grad(), attach(loaded.model, method) as trace:
        loaded.model(**loaded.family.encode(loaded.processor, [video_prompt()]))
        assert {len(index) for index in trace.frames[0].index} != {25}
        assert len({len(index) for index in trace.frames[0].index}) == 1
        loaded.model(**loaded.family.encode(loaded.processor, [video_prompt(), text_prompt()]))
        with pytest.raises(UnsupportedError, match="one prompt would change another: use batch_size=1"):
            loaded.model(**loaded.family.encode(loaded.processor, [video_prompt(), image_prompt()]))

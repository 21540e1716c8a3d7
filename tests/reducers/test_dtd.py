"""DTD against its rule, written as loops."""

import pytest
import torch
from peaks import video
from seeds import seeds
from tokens import cosine, left

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.dtd import DTD


@seeds(60)
def test_a_relative_threshold_takes_the_most_alike_of_each_frame(seed: int) -> None:
    """yaolinli/TimeChat-Online, `modeling_qwen2_5_vl_DTD.py`: a share of the places, rounded down."""
    random = torch.Generator().manual_seed(seed)
    count, size = (int(n) for n in torch.randint(1, 9, (2,), generator=random))
    frames, tau = video(seed, count, size), [0.5, 0.25, 0.9, 0.0, 1.0][seed % 5]
    expected = list(range(size))
    for f in range(1, count):
        alike = [round(cosine(frames[f, p].tolist(), frames[f - 1, p].tolist()), 9) for p in range(size)]
        gone = sorted(range(size), key=lambda p: (-alike[p], p))[: int(size * tau)]
        expected += [f * size + p for p in range(size) if p not in gone]
    method = DTD(tau=tau, threshold="relative")
    assert left(method, frames.flatten(0, 1), (count, 1, size)) == expected
    assert method.plan([Grid(count, size)], 2) == [len(expected)] * 2 and not method.adaptive


@seeds(150)
def test_a_token_goes_if_it_is_like_the_frame_before(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    count, size = (int(n) for n in torch.randint(1, 9, (2,), generator=random))
    frames, tau = video(seed, count, size), [0.5, 0.25, 0.9][seed % 3]
    expected = [
        f * size + p
        for f in range(count)
        for p in range(size)
        if not f or cosine(frames[f, p].tolist(), frames[f - 1, p].tolist()) <= tau
    ]
    assert left(DTD(tau=tau), frames.flatten(0, 1), (count, 1, size)) == expected


def test_what_stands_still_goes_at_once() -> None:
    still = torch.randn(6, 5, generator=torch.Generator().manual_seed(0)).double().repeat(4, 1)
    assert left(DTD(), still, (4, 2, 3)) == list(range(6))
    assert DTD().keep_all().plan([Grid(4, 6, 3)], 2) == [24] * 2 and DTD().adaptive
    assert DTD(tau=0.5, threshold="relative").keep_all().plan([Grid(4, 6, 3)], 2) == [24] * 2
    with pytest.raises(WinnowError, match=r"tau=-2"):
        DTD(tau=-2.0)
    with pytest.raises(WinnowError, match=r"tau=1\.5 .* share"):
        DTD(tau=1.5, threshold="relative")

"""V2Drop against its released code, written as loops."""

import pytest
import torch
from seeds import seeds
from views import layout, view

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.probes import Change
from winnow.reducers.core.schedule import Cuts
from winnow.reducers.v2drop import V2Drop


@seeds(200)
def test_it_is_the_released_code(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    frames, size = (int(n) for n in torch.randint(1, 8, (2,), generator=random))
    prompt, gone = layout((frames, 1, size)), torch.full((frames * size + 8,), -1)
    gone[prompt.visual[torch.rand(frames * size, generator=random) < 0.3]] = 3
    moved = torch.randint(0, 6, (prompt.length,), generator=random).float()
    share = [0.5, 0.25, 0.05, 0.0][seed % 4]
    method = V2Drop(keep=(0.5, share, 0.0))
    present = [token for token in prompt.visual.tolist() if gone[token] < 0]
    if present:
        best = sorted(present, key=lambda token: (-float(moved[token]), token))[: max(1, int(len(present) * share))]
        answer = method.reduce(view(prompt, 17, {(Change(), 16): moved}, gone, depth=32))
        assert answer.keep.tolist() == sorted(best) and answer.positions == "keep"


def test_the_published_counts() -> None:
    plan = V2Drop().plan([Grid(1, 576, 24)], 32)
    assert plan == [576] * 3 + [288] * 14 + [144] * 5 + [1] * 10
    assert V2Drop(ratio=0.125).plan([Grid(1, 576, 24)], 32)[-1] == 72
    assert V2Drop(keep=(0.25, 0.05, 0)).plan([Grid(1, 400, 20)], 32)[-1] == 1


@pytest.mark.parametrize("options", [{"keep": (0.5, 0.5)}, {"keep": (0.5, 1.5, 0)}, {"schedule": Cuts((2, 4))}])
def test_shares_must_fit_the_cuts(options: dict[str, object]) -> None:
    with pytest.raises(WinnowError, match=r"a share from 0 to 1 for each of the cuts"):
        V2Drop(**options)  # type: ignore[arg-type]

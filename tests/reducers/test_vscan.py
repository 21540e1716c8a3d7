"""VScan against its released code, written as loops."""

from itertools import pairwise

import pytest
import torch
from seeds import seeds
from tokens import Rows, cosine, prompt_of, tokens
from views import layout, view

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.probes import LookAhead
from winnow.reducers.core.schedule import K
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import ClsRow, ColumnMean, Tower
from winnow.reducers.vscan import VScan

CLIP = Tower(blocks=24, used=23, rows=24, cols=24, cls=True)


def released(
    states: Rows, shallow: list[float], deep: list[float], grid: tuple[int, int], method: VScan
) -> dict[int, list[int]]:
    """Kept places of one frame, and the places that each becomes the mean of."""
    rows, cols = grid
    total = max(1, round(rows * cols * method.ratio))

    def cuts(size: int) -> list[range]:
        parts = min(method.windows, size)
        ends = [0]
        for number in range(parts):
            ends.append(ends[-1] + size // parts + (number < size % parts))
        return [range(a, b) for a, b in pairwise(ends)]

    crops = [[r * cols + c for r in tall for c in wide] for tall in cuts(rows) for wide in cuts(cols)]
    each = total // 2 // len(crops)
    kept = [p for crop in crops for p in sorted(crop, key=lambda p: (-shallow[p], p))[:each]]
    rest = total - len(kept) if method.counts == "exact" else total - total // 2
    kept += sorted((p for p in range(rows * cols) if p not in kept), key=lambda p: (-deep[p], p))[:rest]
    groups = {p: [p] for p in sorted(kept)}
    for p in range(rows * cols):
        if p not in groups:
            best = max(groups, key=lambda q: (round(cosine(states[p], states[q]), 9), -q))
            groups[best].append(p)
    return groups


@seeds(200)
def test_it_is_the_released_code(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    rows, cols = (int(n) for n in torch.randint(1, 6, (2,), generator=random))
    prompt = layout((2, rows, cols), (1, cols, rows))
    states = prompt_of(tokens(len(prompt.visual), seed), prompt, seed)
    shallow, deep = torch.rand(2, prompt.length, generator=random, dtype=torch.double)
    ratio, windows = [96 / 576, 0.5, 0.34][seed % 3], [4, 2, 1][seed // 3 % 3]
    method = VScan(ratio=ratio, windows=windows, counts="exact" if seed % 2 else "official")
    signals = {(ClsRow(), 5): shallow, (ClsRow(), 22): deep}
    state = view(prompt, Site.entrance(32), signals, hidden=states)
    expected: dict[int, list[int]] = {}
    for span in prompt.spans:
        for places in span.positions.view(span.frames, -1):
            given = (states[places].tolist(), shallow[places].tolist(), deep[places].tolist())
            found = released(*given, (span.rows, span.cols), method)
            expected |= {int(places[p]): [int(places[q]) for q in group] for p, group in found.items()}
    answer = method.reduce(state)
    if answer is None:
        assert all(group == [place] for place, group in expected.items()) and len(expected) == len(prompt.visual)
        return
    assert answer.keep.tolist() == sorted(expected)
    means = torch.stack([states[expected[p]].mean(0) for p in sorted(expected)])
    assert torch.allclose(answer.apply(state.visual_hidden, state.visual), means, atol=1e-6)
    assert method.plan([span.grid for span in prompt.spans], 32)[0] == len(expected)


def test_the_second_stage_keeps_what_will_be_attended_to() -> None:
    prompt = layout((1, 4, 4), (1, 2, 2))
    attention = torch.arange(prompt.length).float()
    gone = torch.full((prompt.length,), -1).index_fill_(0, prompt.visual[12:16], 0)
    method = VScan(second=0.25, schedule=K(3))
    answer = method.reduce(view(prompt, 3, {(LookAhead(), 3): attention}, gone, 8))
    assert answer.keep.tolist() == [*prompt.visual[9:12].tolist(), int(prompt.visual[-1])]
    assert answer.weights is None and answer.positions == "compact"


def test_counts_of_the_paper() -> None:
    """192, 128 and 96 of 576; half of 100 does not fit 16 windows."""
    grid = Grid(1, 576, 24)
    assert VScan().plan([grid], 32) == [96] * 16 + [32] * 16
    assert [VScan(ratio=n / 576).plan([grid], 32)[0] for n in (192, 128, 100, 34, 31)] == [192, 128, 98, 33, 16]
    assert VScan(ratio=100 / 576, counts="exact", second=1.0).plan([grid], 32) == [100] * 32
    assert VScan().keep_all().plan([grid], 32) == [576] * 32
    assert VScan().tower_probes(CLIP) == ((ClsRow(), 5), (ClsRow(), 22))
    assert VScan().tower_probes(Tower(26, 26, 27, 27, cls=False))[0] == (ColumnMean(), 5)
    with pytest.raises(WinnowError, match=r"second=0 is not allowed"):
        VScan(second=0)

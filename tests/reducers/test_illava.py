"""iLLaVA against its released code, written as loops."""

import pytest
import torch
from seeds import seeds
from towers import SIGLIP, check, contents, draw, frame, leaves, natural
from views import layout, view

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.probes import Rows
from winnow.reducers.core.schedule import K
from winnow.reducers.core.tower import ColumnMean, Tower
from winnow.reducers.illava import ILLaVA

Row = list[float]


def merged(states: list[Row], attention: Row, left: int, weights: str) -> tuple[list[int], list[Row]]:
    """Places that stay, and what stands there."""
    rising = sorted(range(len(states)), key=lambda i: (attention[i], -i))
    gone = rising[: len(states) - left]
    anchor = rising[len(gone)]
    ranks = {place: len(gone) + 1 - number for number, place in enumerate([*gone, anchor])}
    by = {place: float(ranks[place]) for place in ranks}
    if weights == "attention" and sum(attention[place] for place in ranks) > 0:
        by = {place: attention[place] for place in ranks}
    total = sum(by.values())
    kept = sorted(set(range(len(states))) - set(gone))
    fused = [sum(by[p] * states[p][i] for p in ranks) / total for i in range(len(states[0]))]
    return kept, [fused if place == anchor else states[place] for place in kept]


@seeds(100)
def test_the_tower_is_the_released_code(seed: int) -> None:
    random = draw(seed)
    tower = Tower(8, 8 - seed % 2, *(int(n) for n in torch.randint(2, 7, (2,), generator=random)), cls=seed % 3 == 0)
    weights = ["rank", "attention"][seed % 2]
    method = ILLaVA(ratio=[0.5, 0.2, 0.9][seed % 3], at=(0.2, 0.4), weights=weights)  # type: ignore[arg-type]
    (block, _), present = method.blocks(tower), tower.patches - seed % 2
    state = frame(tower, method, block, present, seed)
    if seed % 5:
        natural(state, seed)
    (attention, *_) = state.signals.values()
    left = method.count(state.site, tower.grid, present)
    answer = method.reduce(state)
    if answer is None:
        assert left == present
        return
    check(state, answer)
    kept, expected = merged(state.hidden.double().tolist(), attention.tolist(), left, weights)
    assert answer.keep.tolist() == state.index[kept].tolist()
    assert torch.allclose(contents(state, answer), torch.tensor(expected, dtype=torch.double), atol=1e-6)


@seeds(100)
def test_the_llm_is_the_released_code(seed: int) -> None:
    random = draw(seed)
    prompt = layout(*((int(torch.randint(1, 9, (), generator=random)), 1, 3) for _ in range(1 + seed % 2)))
    attention = torch.rand(prompt.length, generator=random)
    if seed % 3 == 0:
        attention = (attention * 4).floor()
    hidden = torch.randn(prompt.length, 5, generator=random, dtype=torch.double)
    gone = torch.full((prompt.length,), -1)
    gone[prompt.visual[torch.rand(len(prompt.visual), generator=random) < 0.3]] = 0
    weights, second = ["rank", "attention"][seed % 2], [0.7, 0.4, 0.05][seed % 3]
    state = view(prompt, 8, {(Rows("last"), 7): attention}, gone, 28, hidden)
    answer = ILLaVA(second=second, weights=weights).reduce(state)  # type: ignore[arg-type]
    places, expected = [], []
    for span in prompt.spans:
        here = [p for p in span.positions.tolist() if gone[p] < 0]
        if here:
            left = max(1, len(here) - round(len(here) * (1 - second)))
            kept, states = merged(hidden[here].tolist(), attention[here].tolist(), left, weights)
            places += [here[p] for p in kept]
            expected += states
    if answer is None:
        assert places == state.visual.tolist()
        return
    assert answer.keep.tolist() == places and answer.positions == "keep"
    found = answer.weights.to_dense().double() @ hidden[state.visual]
    assert torch.allclose(found, torch.tensor(expected, dtype=torch.double), atol=1e-6)


def test_the_published_counts() -> None:
    official = ILLaVA(r=92)
    assert leaves(official, SIGLIP) == 729 - 4 * 92 and official.blocks(SIGLIP) == (5, 6, 7, 8)
    assert official.tower_probes(SIGLIP) == tuple((ColumnMean(), block) for block in (5, 6, 7, 8))
    assert official.probes(28) == ((Rows("last"), 7),)
    plan = official.plan([(1, 729)], 28, SIGLIP)
    assert plan == [361] * 8 + [361 - 108] * 20
    assert leaves(ILLaVA(), SIGLIP) == 364
    assert (
        ILLaVA(second=1.0).probes(28) == () and leaves(ILLaVA(ratio=1.0), SIGLIP) == leaves(ILLaVA(r=0), SIGLIP) == 729
    )


def test_bad_numbers_are_refused() -> None:
    with pytest.raises(WinnowError, match=r"reducer\.r=-1 is not allowed"):
        ILLaVA(r=-1)
    with pytest.raises(WinnowError, match="second=0 is not allowed"):
        ILLaVA(second=0, schedule=K(2))

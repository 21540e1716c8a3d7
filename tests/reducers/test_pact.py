"""PACT against its released code, written as loops in float64."""

import math

import pytest
import torch
from seeds import seeds
from towers import draw
from views import layout, view

from winnow.reducers.core.clusters import bounded_peaks
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.probes import KeysAhead, MeanQuery, mean_query_attention
from winnow.reducers.core.schedule import K
from winnow.reducers.pact import PACT

Row = list[float]


def distance(a: Row, b: Row) -> float:
    lengths = math.sqrt(math.fsum(x * x for x in a) * math.fsum(y * y for y in b))
    return max(0.0, 1 - math.fsum(x * y for x, y in zip(a, b, strict=True)) / lengths) if lengths else 1.0


def by_rounds(keys: list[Row], cutoff: float) -> set[int]:
    """Round by round every token without a denser one near it; one by one as soon as a round finds fewer than ten."""
    apart = [[0.0 if i == j else distance(a, b) for j, b in enumerate(keys)] for i, a in enumerate(keys)]
    density = [math.fsum(math.exp(-((d / 2) ** 2)) for d in row) for row in apart]
    rank = {token: place for place, token in enumerate(sorted(range(len(keys)), key=lambda i: (density[i], i)))}
    free, centres = set(range(len(keys))), set[int]()
    while free:
        fresh = {i for i in free if all(apart[i][j] > cutoff for j in free if rank[j] > rank[i])}
        centres |= fresh
        free = {i for i in free - fresh if all(apart[i][j] > cutoff for j in fresh)}
        if len(fresh) < 10:
            for i in sorted(free, key=lambda i: -rank[i]):
                if all(apart[i][j] > cutoff for j in centres):
                    centres.add(i)
            break
    return centres


@seeds(150)
def test_a_prompt_is_the_released_code(seed: int) -> None:
    random = draw(seed)
    prompt = layout(*((int(torch.randint(1, 5, (), generator=random)), 2, 3) for _ in range(1 + seed % 2)))
    share, cutoff, recovery = [0.55, 1.0, 0.3][seed % 3], [0.21, 0.6, 0.05][seed // 3 % 3], [1.5, 0.0][seed % 2]
    method = PACT(share=share, cutoff=cutoff, recovery=recovery, scope=["prompt", "span"][seed // 2 % 2])
    hidden = torch.randn(prompt.length, 5, generator=random, dtype=torch.double)
    gone = torch.full((prompt.length,), -1)
    gone[prompt.visual[torch.rand(len(prompt.visual), generator=random) < 0.2]] = 0
    keys = torch.randn(prompt.length, 2, 3, generator=random, dtype=torch.double)
    if seed % 4 == 0:
        keys = keys[torch.randint(0, prompt.length, (prompt.length,), generator=random)]  # twins
    score = torch.rand(prompt.length, generator=random)
    state = view(prompt, 4, {(MeanQuery(), 4): score, (KeysAhead(), 4): keys.float()}, gone, 28, hidden)
    keep, expected, sizes = [], [], []
    everything = [[p for s in prompt.spans for p in s.positions.tolist()]]
    for pool in everything if method.scope == "prompt" else [s.positions.tolist() for s in prompt.spans]:
        here = [p for p in pool if gone[p] < 0]
        if not here:
            continue
        worth = {p: float(score[p]) * float(hidden[p].norm()) for p in here}
        kept = sorted(sorted(here, key=lambda p: (-worth[p], p))[: max(1, int(len(here) * method.share))])
        vectors = {p: keys[p].flatten().tolist() for p in here}
        centres = sorted(kept[i] for i in by_rounds([vectors[p] for p in kept], method.cutoff))
        members = {c: [c] for c in centres}
        for p in sorted(set(here) - set(centres)):
            near = min(centres, key=lambda c: (distance(vectors[p], vectors[c]), c))
            if p in kept or distance(vectors[p], vectors[near]) <= method.recovery * method.cutoff - 1e-9:
                members[near].append(p)
        keep += centres
        sizes += [len(members[c]) for c in centres]
        expected += [hidden[members[c]].mean(0) for c in centres]
    answer = method.reduce(state)
    if answer is None:
        assert keep == state.visual.tolist()
        return
    assert answer.keep.tolist() == keep and answer.weighed and answer.positions == "keep"
    weights = answer.weights.to_dense().double()
    assert (weights > 0).sum(1).tolist() == sizes
    assert torch.allclose(weights @ hidden[state.visual], torch.stack(expected), atol=1e-6)


@seeds(60)
def test_centres_are_those_of_the_rounds(seed: int) -> None:
    random = draw(seed)
    keys = torch.randn(60, 3, generator=random)
    keys = keys[torch.randint(0, 60, (60,), generator=random)] if seed % 3 == 0 else keys
    cutoff = [0.05, 0.2, 0.7][seed % 3]
    found, expected = (
        sorted(keys[[*places]].tolist())  # which of equally dense twins is the centre, rounding decides
        for places in (bounded_peaks(keys, cutoff).tolist(), by_rounds(keys.double().tolist(), cutoff))
    )
    assert found == expected
    assert len(bounded_peaks(keys, -1.0)) == 60


@pytest.mark.parametrize("seed", range(20))
def test_the_mean_query_asks_each_head_for_itself(seed: int) -> None:
    query, key = torch.randn(4, 7, 3, generator=draw(seed)), torch.randn(2, 7, 3, generator=draw(seed + 1))
    total = [0.0] * 7
    for head in range(4):
        asking = query[head].double().mean(0)
        powers = [math.exp(0.5 * float(asking @ key[head // 2, j].double())) for j in range(7)]
        total = [t + p / math.fsum(powers) / 4 for t, p in zip(total, powers, strict=True)]
    assert mean_query_attention(query, key, 0.5).tolist() == pytest.approx(total, abs=1e-6)


def test_the_published_numbers() -> None:
    method = PACT()
    assert [str(site) for site in method.sites(28)] == ["layer(4)"]
    assert method.probes(28) == ((MeanQuery(), 4), (KeysAhead(), 4))
    assert method.plan([(32, 196)], 28) == [6272] * 4 + [1882] * 24
    assert method.keep_all().plan([(32, 196)], 28) == [6272] * 28
    assert PACT(cutoff=-1.0).plan([(1, 10)], 28)[-1] == 5


@pytest.mark.parametrize("wrong", [{"share": 0.0}, {"cutoff": 3.0}, {"recovery": -1.0}, {"ratio": 0}])
def test_bad_numbers_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(WinnowError, match=f"{next(iter(wrong))}={next(iter(wrong.values()))}.* is not allowed"):
        PACT(**wrong, schedule=K(2))  # type: ignore[arg-type]

"""LLaVA-Scissor against its rule, written as loops, with whole components."""

import pytest
import torch
from peaks import mean, video
from seeds import seeds
from tokens import Rows, cosine
from views import layout, view

from winnow.reducers.core.clusters import components
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.scissor import Scissor


def found(tokens: Rows, tau: float) -> list[tuple[int, list[int]]]:
    """Components, each by its first node with the most links."""
    links = [{j for j, b in enumerate(tokens) if cosine(a, b) > tau} for a in tokens]
    seen: set[int] = set()
    told = []
    for start in range(len(tokens)):
        if start not in seen:
            members, front = {start}, {start}
            while front:
                front = set().union(*(links[i] for i in front)) - members
                members |= front
            seen |= members
            told.append((min(members, key=lambda i: (-len(links[i]), i)), sorted(members)))
    return sorted(told)


@seeds(200)
def test_it_is_the_published_rule(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    frames, size = (int(n) for n in torch.randint(1, 6, (2,), generator=random))
    method = Scissor(tau=[0.3, 0.6, 0.9, 0.97][seed % 4], positions="keep")
    tokens = video(seed, frames, size)
    every = tokens.flatten(0, 1).tolist()
    slots, means = [], []
    for f, frame in enumerate(tokens.tolist()):
        for head, members in found(frame, method.tau):
            slots.append(f * size + head)
            means.append(mean([frame[i] for i in members]))
    final, places = [], []
    for head, members in found(means, method.tau):
        places.append(slots[head])
        final.append(mean([means[i] for i in members]))
    nearest = [max(range(len(final)), key=lambda k: (cosine(token, final[k]), -k)) for token in every]
    prompt = layout((frames, 1, size))
    states = torch.zeros(prompt.length, tokens.shape[-1], dtype=torch.double)
    states[prompt.visual] = tokens.flatten(0, 1)
    answer = method.reduce(view(prompt, hidden=states))
    if answer is None:
        assert places == list(range(len(every)))
        return
    assert (answer.keep - prompt.visual[0]).tolist() == places
    assert answer.weights is not None
    got = answer.weights.to_dense().double() @ states[prompt.visual]
    for k, row in enumerate(got.tolist()):
        joined = [final[k], *(token for token, at in zip(every, nearest, strict=True) if at == k)]
        assert row == pytest.approx(mean(joined), abs=1e-5)


def test_components_reach_along_chains() -> None:
    """A chain, a pair, a node that is linked to itself, and one that is linked to nothing."""
    linked = torch.zeros(8, 8, dtype=torch.bool)
    for a, b in ((0, 5), (5, 3), (3, 7), (2, 6), (1, 1)):
        linked[a, b] = linked[b, a] = True
    assert components(linked).tolist() == [0, 1, 2, 0, 4, 0, 2, 0]
    assert components(linked[:0, :0]).tolist() == []


def test_how_much_stays_is_the_contents() -> None:
    assert Scissor.adaptive and Scissor().plan([Grid(4, 196, 14)], 2) == [196] * 2
    assert Scissor(tau=2.0).plan([Grid(4, 196, 14)], 2) == [784] * 2
    with pytest.raises(WinnowError, match=r"tau=-3 is not allowed"):
        Scissor(tau=-3)


@pytest.mark.parametrize("tau", [-1.5, -1.01])
def test_no_cosine_is_below_minus_one(tau: float) -> None:
    with pytest.raises(WinnowError, match="tau"):
        Scissor(tau=tau)
    assert Scissor(tau=-1.0).tau == -1

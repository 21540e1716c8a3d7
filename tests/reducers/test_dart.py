"""DART at the embeddings against the rule of TensorRT-Edge-LLM, at a layer against the released code, as loops."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from seeds import seeds
from tokens import Rows, cosine, natural, prompt_of, tied
from views import layout, view

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid, Layout, Scope, Span
from winnow.reducers.core.probes import Keys
from winnow.reducers.core.schedule import K
from winnow.reducers.dart import DART


def engine(
    states: Rows, spans: list[list[int]], removed: float, pivots: int = 4, text_pivots: int = 4, least: int = 0
) -> list[int]:
    """Prompt indices of the visual tokens kept; the text pivots come from everything that is not visual."""
    removed = float(np.float32(removed))
    if sum(map(len, spans)) < least:
        return [place for span in spans for place in span]
    visual = {place for span in spans for place in span}

    def longest(places: list[int], count: int) -> list[int]:
        return sorted(places, key=lambda p: (-round(sum(map(abs, states[p])), 9), p))[:count]

    shared = longest([p for p in range(len(states)) if p not in visual], text_pivots)
    kept: list[int] = []
    for span in spans:
        target = max(1, min(len(span), math.ceil(len(span) * (1 - removed))))
        chosen = longest(span, min(pivots, target))
        votes = chosen + shared
        candidates = [p for p in span if p not in chosen]
        for turn, pivot in enumerate(votes):
            missing = target - len(chosen)
            if missing <= 0 or not candidates:
                break
            part = math.ceil(missing / (len(votes) - turn))
            rank = sorted(candidates, key=lambda p: (round(cosine(states[pivot], states[p]), 9), p))
            chosen = chosen + rank[:part]
            candidates = [p for p in candidates if p not in rank[:part]]
        kept += chosen
    return sorted(kept)


@seeds(250)
def test_the_mask_is_the_engines(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    grids = [
        tuple(int(torch.randint(1, most, (), generator=random)) for most in (4, 4, 6)) for _ in range(1 + seed % 3)
    ]
    prompt = layout(*grids, tail=1 + seed % 6)
    n = len(prompt.visual)
    states = prompt_of(tied(n, seed) if seed % 2 else natural(n, seed, 4), prompt, seed)
    removed, pivots, text = [0.25, 0.5, 0.778, 0.97][seed % 4], [4, 1, 7][seed % 3], [4, 0, 2][seed % 3]
    scope: Scope = "span" if seed // 2 % 2 else "prompt"
    answer = DART(R=removed, pivots=pivots, text_pivots=text, scope=scope).reduce(view(prompt, hidden=states))
    kept = prompt.visual.tolist() if answer is None else answer.keep.tolist()
    spans = [span.positions.tolist() for span in prompt.spans] if scope == "span" else [prompt.visual.tolist()]
    assert kept == engine(states.tolist(), spans, removed, pivots, text)


@seeds(120)
def test_the_engine_cuts_videos_where_text_stands_and_leaves_few_tokens_alone(seed: int) -> None:
    """NVIDIA/TensorRT-Edge-LLM, `visualTokenPruner.cpp`: runs of placeholders, 16 tokens at least, a float's share."""
    random = torch.Generator().manual_seed(seed)
    apart, runs, spans, place = bool(seed % 2), [], [], 3
    for frames, rows, cols in torch.randint(1, 5, (1 + seed % 3, 3), generator=random).tolist():
        steps = [torch.arange(rows * cols) + place + f * (rows * cols + 2 * apart) for f in range(frames)]
        place = int(steps[-1][-1]) + 3
        spans.append(Span(torch.cat(steps), frames, rows, cols))
        runs += [step.tolist() for step in (steps if apart else [torch.cat(steps)])]
    prompt = Layout(place + 4, tuple(spans))
    states = torch.randn(prompt.length, 8, generator=random).double()
    removed = [0.9, 0.8, 0.7, 0.6, 0.3][seed % 5]
    method = DART(R=removed, parts="frame" if apart else "span", least=16)
    answer, expected = method.reduce(view(prompt, hidden=states)), engine(states.tolist(), runs, removed, least=16)
    assert (prompt.visual if answer is None else answer.keep).tolist() == expected
    assert method.plan([span.grid for span in spans], 2) == [len(expected)] * 2


@seeds(200)
def test_the_official_loop_at_a_layer(seed: int) -> None:
    """Keys rank, states under the final norm are compared, and a Python set says whose turn it is."""
    random = torch.Generator().manual_seed(seed)
    frames, per = (int(n) for n in torch.randint(2, 7, (2,), generator=random))
    prompt = layout((frames, 2, per), tail=6)
    gone = torch.full((prompt.length,), -1)
    gone[prompt.visual[torch.rand(len(prompt.visual), generator=random) < 0.2]] = 1
    states, scale = torch.randn(prompt.length, 5, generator=random, dtype=torch.double), torch.rand(5).double() + 0.5
    keys = torch.randint(-3, 4, (prompt.length, 2, 2), generator=random).double()
    method = DART(R=[0.5, 0.778, 0.3][seed % 3], at="layer", variant="official", schedule=K(3))
    state = replace(view(prompt, 3, {(Keys(rope=True), 2): keys}, gone, 8, states), norm=lambda x: x * scale)
    norms, seen = keys.abs().sum((1, 2)).tolist(), (states * scale).tolist()
    visual = [p for p in prompt.visual.tolist() if gone[p] < 0]
    text = range(int(prompt.visual[-1]) + 1, prompt.length)
    pivots = [sorted(among, key=lambda p: (-norms[p], p))[:4] for among in (visual, text)]
    part = int(len(visual) * method.ratio / 8)
    kept, candidates = list(pivots[0]), [p for p in visual if p not in pivots[0]]
    for pivot in set(pivots[0] + pivots[1]):
        best = sorted(candidates, key=lambda p: (round(cosine(seen[pivot], seen[p]), 9), p))[:part]
        kept += best
        candidates = [p for p in candidates if p not in best]
    answer = method.reduce(state)
    assert answer.keep.tolist() == sorted(kept) and answer.positions == "keep"
    assert len(kept) == method.count(state.site, prompt.spans[0].grid, len(visual))


def test_counts_of_the_paper() -> None:
    """4 + 8 x 15 of 576 at R=0.778 behind layer 1, where the budget would be 128."""
    grid = Grid(1, 576, 24)
    assert DART(R=0.778, at="layer", variant="official").plan([grid], 32) == [576] * 2 + [124] * 30
    assert DART(R=0.778, at="layer").plan([grid], 32) == [576] * 2 + [128] * 30


def test_every_picture_gets_its_own_quota() -> None:
    assert DART(R=0.5).plan([(1, 21), (1, 201)], 1) == [112] and DART(R=0.97).plan([(1, 20)], 1) == [1]
    assert DART(R=0.5, scope="prompt").plan([(1, 21), (1, 201)], 1) == [111]
    assert DART(at="layer").scope == "prompt" and DART(at="layer", scope="span").scope == "span"


def test_numbers_are_checked() -> None:
    with pytest.raises(WinnowError, match=r"reducer\.pivots=0"):
        DART(pivots=0)
    with pytest.raises(WinnowError, match="1-R="):
        DART(R=1.0)
    with pytest.raises(WinnowError, match="parts=frame is of at=embedding"):
        DART(at="layer", parts="frame")
    assert DART(R=0.9).plan([(1, 10)], 1) == [2] and DART(R=0.9, at="layer").plan([(1, 10)], 3)[-1] == 1

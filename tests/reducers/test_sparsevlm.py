"""SparseVLM against its released code, and the attention of raters against matrices, written as loops."""

import math

import pytest
import torch
from peaks import peaks
from seeds import seeds
from tokens import dot
from views import layout, view

from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.probes import Raters, rated_attention, raters
from winnow.reducers.core.schedule import Cuts
from winnow.reducers.sparsevlm import SparseVLM


@seeds(150)
def test_a_cut_is_the_released_code(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    prompt = layout((2, 1, int(torch.randint(1, 40, (), generator=random))))
    gone = torch.full((prompt.length,), -1)
    gone[prompt.visual[torch.rand(len(prompt.visual), generator=random) < 0.3]] = 3
    version, share = ["1.5", "+"][seed % 2], [0.2, 0.6, 0.9, 1e-3][seed // 2 % 4]
    method = SparseVLM(counts=(0.9, share), version=version, schedule=Cuts((2, 4)))
    scores = torch.randint(0, 30, (prompt.length,), generator=random).double()
    states = torch.randn(prompt.length, 5, generator=random, dtype=torch.double)
    probe = Raters(14, corrected=True) if version == "+" else Raters()
    state = view(prompt, 4, {(probe, 3): scores}, gone, 6, states)
    here = state.visual.tolist()
    kept = min(max(1, round(share * len(prompt.visual))), len(here) - 1) if len(here) > 1 else len(here)
    best = sorted(here, key=lambda p: (-float(scores[p]), p))
    expected = [(p, [p]) for p in sorted(best[:kept])]
    if version == "1.5" and len(here) > kept:
        again = best[kept:][: int((len(here) - kept) * 0.3) + 1]
        clusters = int(len(again) / 10) + 1
        expected += [
            (again[group[0]], [again[i] for i in group])
            for group in peaks([states[p].tolist() for p in again], clusters, clusters)
        ]
    answer = method.reduce(state)
    assert method.count(state.site, prompt.spans[0].grid, len(here)) == len(expected)
    if answer is None:
        assert [place for place, _ in expected] == here
        return
    assert answer.keep.tolist() == sorted(place for place, _ in expected)
    means = torch.stack([states[members].mean(0) for _, members in expected])
    assert torch.allclose(answer.apply(state.visual_hidden, state.visual), means, atol=1e-6)
    assert answer.positions == ("keep" if version == "+" else "compact")


def test_counts_of_the_published_table() -> None:
    """Recycled tokens come on top; the table's mean counts a layer that cuts behind its attention as cut."""
    plan = SparseVLM().plan([Grid(1, 576, 24)], 32)
    assert plan == [576] * 3 + [309] * 4 + [204] * 9 + [113] * 16
    assert (sum(plan) - (576 - 309) - (309 - 204) - (204 - 113)) // 32 == 192
    for mean, first in ((128, 238), (96, 246), (64, 66)):
        assert SparseVLM(mean / 576, version="+").plan([Grid(1, 576, 24)], 32)[3] == first
    assert SparseVLM(192 / 576, version="+").plan([Grid(1, 576, 24)], 32)[-1] == 118
    assert SparseVLM(1.0).plan([Grid(1, 576, 24)], 32) == [576] * 32


def test_mistakes() -> None:
    with pytest.raises(WinnowError, match="are not 3"):
        SparseVLM(schedule=Cuts((2, 4)))
    with pytest.raises(WinnowError, match=r"counts=\[0\.5\]"):
        SparseVLM(counts=(0.5,))
    with pytest.raises(WinnowError, match="heads=0"):
        SparseVLM(heads=0)


@seeds(100)
def test_raters_are_text_that_gets_more_than_its_share(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    visual, text = (torch.randn(n, 4, generator=random) for n in torch.randint(1, 9, (2,), generator=random).tolist())
    rows = [[math.exp(dot(v, t)) for t in text.double().tolist()] for v in visual.double().tolist()]
    share = [sum(row[j] / sum(row) for row in rows) / len(rows) for j in range(len(text))]
    assert raters(visual, text).tolist() == [s > sum(share) / len(share) for s in share] or len(text) == 1
    assert bool(raters(visual, text).any())


@seeds(100)
def test_rated_attention_is_its_matrices(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    n, kv, groups, d = int(torch.randint(2, 12, (), generator=random)), 2, 3, 4
    query, key = (torch.randn(heads, n, d, generator=random) for heads in (kv * groups, kv))
    rows = (torch.rand(n, generator=random) < 0.5).nonzero().flatten()
    rows = rows if len(rows) else torch.tensor([n - 1])
    columns, angle = torch.arange(1, n // 2 + 1), torch.rand(n, 2, generator=random, dtype=torch.double) * 3
    heads, turned = [None, 2, 9][seed % 3], seed % 2
    per_head = []
    for head in range(kv * groups):
        received = [0.0] * n
        for i in rows.tolist():
            logits = [dot(query[head, i].tolist(), key[head // groups, j].tolist()) / 2 for j in range(i + 1)]
            total = sum(map(math.exp, logits))
            for j in range(i + 1):
                bias = sum(2 * math.cos(float(a - b)) for a, b in zip(angle[i], angle[j], strict=True)) / 2
                received[j] += math.exp(logits[j]) / total / (bias if turned else 1)
        per_head.append(received)
    chosen = sorted(per_head, key=lambda row: -sum(row[j] for j in columns.tolist()))[:heads]
    expected = [sum(column) / len(chosen) / len(rows) for column in zip(*chosen, strict=True)]
    rotary = tuple(f(angle).repeat(1, 2).float() for f in (torch.cos, torch.sin)) if turned else None
    found = rated_attention(query, key, rows, columns, 0.5, heads, rotary, chunk=2)
    assert torch.allclose(found, torch.tensor(expected), rtol=1e-3, atol=1e-4)

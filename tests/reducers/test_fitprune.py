"""FitPrune against its released code, written as loops, and the inverted reading of a benchmark."""

import itertools

import pytest
import torch
from seeds import seeds
from views import layout, view

from winnow.reducers.core.layout import Grid
from winnow.reducers.core.probes import PeakRows
from winnow.reducers.core.site import Site
from winnow.reducers.fitprune import FITTED, FitPrune, left


@seeds(200)
def test_it_deletes_the_smallest_products(seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    grids = [(1, 1, int(n)) for n in torch.randint(1, 40, (1 + seed % 2,), generator=random)]
    prompt = layout(*grids)
    method = FitPrune(ratio=[0.5, 0.3, 0.1, 0.8][seed % 4], scope="span" if seed % 3 == 0 else "prompt")
    inverted = FitPrune(ratio=method.ratio, scope=method.scope, select="lowest")
    layer = [2, 6, 0][seed % 3]
    text, visual = torch.randint(0, 5, (2, prompt.length), generator=random).float()
    signals = {(PeakRows("text"), layer): text, (PeakRows("visual"), layer): visual}
    answers = [m.reduce(view(prompt, Site.inside(layer, 32), signals, depth=32)) for m in (method, inverted)]
    pools = [prompt.visual] if method.scope == "prompt" else [span.positions for span in prompt.spans]
    kept, lowest = list[int](), list[int]()
    for tokens in (pool.tolist() for pool in pools):
        count = method.count(Site.inside(layer, 32), Grid(1, len(tokens)), len(tokens))
        score = {token: float(text[token] * visual[token]) for token in tokens}
        kept += sorted(tokens, key=lambda token: (-score[token], token))[:count]
        lowest += sorted(tokens, key=lambda token: (score[token], token))[:count]
    assert [answer.keep.tolist() for answer in answers] == [sorted(kept), sorted(lowest)]


def test_the_counts_are_those_of_the_tables() -> None:
    image = [Grid(1, 576, 24)]
    for ratio, counts in FITTED.items():
        method, deleted = FitPrune(ratio=ratio), [int(n) for n in counts.split()]
        before, after = method.plans(image, 32)
        assert before[0] == 576 and [a - b for a, b in zip(before, after, strict=True)] == deleted
        assert len(method.sites(32)) == sum(n > 0 for n in deleted)
    means = [sum(FitPrune(ratio=ratio).plans(image, 32)[1]) / 32 / 576 for ratio in (0.5, 0.4, 0.1)]
    assert [round(mean, 3) for mean in means] == [0.502, 0.401, 0.097]


def test_between_two_tables_and_beyond_them_lines_are_drawn() -> None:
    """The tables of 0.9 and 0.8 delete 1 and 3 of 576 tokens in the first three layers; at 1 all stay, at 0 none."""
    kept = {ratio: left(ratio, 2, 32) * 576 for ratio in (1.0, 0.95, 0.9, 0.85, 0.8)}
    assert kept == pytest.approx({1.0: 576, 0.95: 575.5, 0.9: 575, 0.85: 574, 0.8: 573})
    last = min(FITTED)
    assert left(last / 2, 31, 32) == pytest.approx(left(last, 31, 32) / 2)


def test_other_ratios_and_depths_lie_between() -> None:
    image = [Grid(1, 196, 14)]
    plans = [FitPrune(ratio=ratio).plan(image, 28) for ratio in (1.0, 0.7, 0.5, 0.45, 0.2, 0.07, 0.001)]
    assert plans[0] == [196] * 28 and plans[-1][-1] == 1
    for more, fewer in itertools.pairwise(plans):
        assert all(a >= b for a, b in zip(more, fewer, strict=True)) and sum(more) > sum(fewer)

"""What a method itself computes, by AIM's formula and as executed."""

from dataclasses import replace

import pytest

from winnow.harness.cost import LLMShape
from winnow.harness.cost.vision import TowerShape
from winnow.harness.plan.nominal import Nominal
from winnow.harness.plan.overhead import overhead, ranking_flops
from winnow.reducers.aim import AIM
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.schedule import Window
from winnow.reducers.fastv import FastV

SHAPE = LLMShape(layers=8, hidden=64, heads=4, kv_heads=2, head_dim=16, mlp=100, vocab=1000)
PROMPT = Nominal(
    shape=SHAPE, tower=None, vision=TowerShape(2, 32, 2, 64, 16, 12), projector=(), span=Grid(4, 16), text=10,
    tied=False, mlp_add=True, attn="sdpa", dtype="float32",
)  # fmt: skip
METHOD = AIM(ratio=0.25, schedule=Window(2, 6))


def test_ranking_by_hand() -> None:
    """Softmax of a sharpened row 6, five products of a matrix and a vector 2 each; the norm over heads."""
    assert ranking_flops(4, [100]) == 16 * 4 * 100 * 100 + 9 * 100
    assert (
        ranking_flops(4, [100, 50], iterations=2) == 10 * 4 * (100**2 + 50**2) + 9 * 150 and ranking_flops(4, []) == 0
    )


def test_the_papers_formula_stands_in_for_what_is_executed() -> None:
    visual, layers = PROMPT.plan(METHOD), [layer for _, layer in METHOD.probes(8)]
    papers = ranking_flops(4, [visual[layer] + 10 for layer in layers])
    assert overhead(METHOD, PROMPT, ["page_rank"], papers=True) == papers > 0
    scores = [(n := visual[layer] + 10) * (n + 1) / 2 for layer in layers]
    executed = sum((2 * 16 + 5 + 10) * 4 * pairs for pairs in scores)
    assert overhead(METHOD, PROMPT, ["page_rank"], papers=False) == pytest.approx(executed)


def test_parts_add_up_and_merging_is_the_same_both_ways() -> None:
    merge = overhead(METHOD, PROMPT, ["merge"], papers=True)
    assert merge == overhead(METHOD, PROMPT, ["merge"], papers=False) > 0
    for papers in (True, False):
        rank = overhead(METHOD, PROMPT, ["page_rank"], papers)
        assert overhead(METHOD, PROMPT, ["merge", "page_rank"], papers) == pytest.approx(merge + rank)
    assert overhead(METHOD, PROMPT, [], papers=True) == 0
    assert overhead(FastV(ratio=0.5), replace(PROMPT), ["page_rank", "merge"], papers=True) == 0

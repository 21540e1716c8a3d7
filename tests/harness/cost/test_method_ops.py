"""What methods compute, in closed form at the size of LLaVA-OneVision 7B: every probe, and merging."""

from collections.abc import Sequence
from typing import Any

import pytest

from winnow.harness.cost import LLMShape
from winnow.harness.cost.method_ops import llm_ops, tower_ops
from winnow.harness.cost.op import Op
from winnow.harness.cost.vision import TowerShape
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.probes import (
    Change,
    Keys,
    KeysAhead,
    LookAhead,
    MeanQuery,
    PageRank,
    PeakRows,
    Probe,
    Raters,
    Rows,
)
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import ClsLogits, ClsRow, ColumnMean, Headless, Tower, TowerKeys, TowerProbe

LLM = LLMShape(layers=4, hidden=3584, heads=28, kv_heads=4, head_dim=128, mlp=18944, vocab=152064)
TOWER = TowerShape(26, 1152, 16, 4304, patches=729, pixels=588)
SIGLIP = Tower(26, 26, 27, 27, cls=False)
VISUAL, TEXT = [6272, 6272, 3000, 1000], 100
KEYS = 2 * 4 * 128
"""Bytes of one token's keys."""


class Asks:
    """A method that asks for some probes and works at some sites."""

    def __init__(
        self,
        probes: Sequence[tuple[Probe, int]] = (),
        tower: Sequence[tuple[TowerProbe, int]] = (),
        sites: Sequence[Site] = (),
        scope: str = "span",
    ) -> None:
        self.scope, self._probes, self._tower, self._sites = scope, probes, tower, sites
        self.asked: list[tuple[Any, ...]] = []

    def probes(self, depth: int) -> Sequence[tuple[Probe, int]]:
        assert depth == LLM.layers
        return self._probes

    def tower_probes(self, tower: Tower) -> Sequence[tuple[TowerProbe, int]]:
        return self._tower

    def sites(self, depth: int, tower: Tower | None = None) -> Sequence[Site]:
        return self._sites

    def plan_tower(self, depth: int, tower: Tower) -> list[int]:
        return [729] * 13 + [400] * 13  # what each block leaves: fewer from the 14th on

    def work(self, site: Site, grid: Grid, present: int, width: Any) -> float:
        self.asked.append((site.kind, grid.tokens, present, *width))
        return 0.0 if site.kind == "entrance" else 1000.0 * present


def asked(probe: Probe, layer: int) -> Op:
    (found,) = llm_ops(Asks([(probe, layer)]), LLM, [Grid(32, 196)], VISUAL, TEXT)  # type: ignore[arg-type]
    return found


def rows_of_attention(name: str, rows: float, scores: float, n: int, more: int = 1, times: int = 1) -> Op:
    """Each score: a product of 128, 5 for the softmax, `more`; in float32, written, and read again, two times each."""
    moved = 2 * 4 * scores * 28
    load = moved + rows * 28 * 128 * 2
    return Op(name, (2 * 128 + 5 + more) * scores * 28, load=load, store=moved, kv_load=times * n * KEYS)


N, LATER = 6372, 1100
CAUSAL = N * (N + 1) / 2


@pytest.mark.parametrize(
    ("probe", "layer", "cost"),
    [
        (Rows("last"), 0, rows_of_attention("rows_last", 1, N, N)),
        (Rows("last"), 3, rows_of_attention("rows_last", 1, LATER, LATER)),
        (Rows("text"), 0, rows_of_attention("rows_text", 100, 100 * N, N)),
        (Rows("all"), 0, rows_of_attention("rows_all", N, CAUSAL, N)),
        (PeakRows("text"), 0, rows_of_attention("peaks_text", 100, 100 * N, N)),
        (PeakRows("visual"), 0, rows_of_attention("peaks_visual", 6272, 6272 * 6273 / 2, N)),
        (Raters(), 3, rows_of_attention("raters", 100, 100 * LATER, LATER)),
        (PageRank(iterations=7), 0, rows_of_attention("page_rank", N, CAUSAL, N, more=14)),
        (Change(), 3, Op("change", 3 * LATER * 3584, load=2 * LATER * 3584 * 2, store=4 * LATER)),
        (Keys(), 0, Op("keys", 0)),
    ],
)
def test_a_probe_of_the_llm(probe: Probe, layer: int, cost: Op) -> None:
    assert asked(probe, layer) == cost


@pytest.mark.parametrize(("probe", "rows"), [(LookAhead(), 1), (MeanQuery(), 1), (KeysAhead(), 0)])
def test_a_layer_that_has_yet_to_run_is_normed_and_projected_for_it(probe: Probe, rows: int) -> None:
    inner = (28 + 4 + 4) * 128
    row = rows_of_attention("look_ahead", rows, rows * N, N, times=rows)
    flops = row.flops + 2 * N * 3584 * inner + 7 * N * 3584
    assert asked(probe, 0) == Op("look_ahead", flops, 2 * 3584 * inner, row.load, row.store + 2 * N * inner)


def test_each_site_is_charged_for_what_stands_before_it() -> None:
    method = Asks(sites=[Site.entrance(4), Site.layer(2, 4), Site.inside(2, 4), Site.decode(2, 4)])
    spans = [Grid(30, 196), Grid(2, 196)]
    found = [*llm_ops(method, LLM, spans, VISUAL, TEXT)]  # type: ignore[arg-type]
    entering = [6272, 6272, 3000, 1000]  # of the entrance and the layers 2 (what left 1), behind 2, behind all
    present = [(round(n * 30 / 32), round(n * 2 / 32)) for n in entering]
    assert method.asked == [
        (kind, grid.tokens, n, 3584, 128)
        for kind, both in zip(("entrance", "layer", "inside", "decode"), present, strict=True)
        for grid, n in zip(spans, both, strict=True)
    ]
    state = [2 * n * 3584 for n in entering[1:]]
    assert found == [
        Op("merge", 1000 * sum(both), load=2 * moved, store=moved)
        for both, moved in zip(present[1:], state, strict=True)
    ]


def test_a_method_that_takes_all_spans_as_one_works_on_all_at_once() -> None:
    method = Asks(sites=[Site.layer(1, 4)], scope="prompt")
    (found,) = llm_ops(method, LLM, [Grid(30, 196), Grid(2, 196)], VISUAL, TEXT)  # type: ignore[arg-type]
    assert method.asked == [("layer", 6272, 6272, 3584, 128)] and found.flops == 1000 * 6272


def test_width_is_that_of_hidden_states_queries_and_keys() -> None:
    method = Asks([(Rows("last"), 0), (Change(), 0)])
    narrow, wide = (list(llm_ops(method, LLM, [Grid(32, 196)], VISUAL, TEXT, width)) for width in (2, 4))  # type: ignore[arg-type]
    assert wide[0].kv_load == 2 * narrow[0].kv_load and wide[0].load == narrow[0].load + 2 * 28 * 128
    assert wide[1].load == 2 * narrow[1].load and wide[1].store == narrow[1].store


@pytest.mark.parametrize(
    ("probe", "block", "name", "flops", "moved"),
    [
        (Headless(), 0, "headless", (2 * 1152 + 5) * 8 * 729, None),
        (Headless(), 20, "headless", (2 * 1152 + 5) * 8 * 400, None),
        (ClsLogits(), 0, "logits", 2 * 8 * 729 * 1152, None),
        (ClsRow(), 0, "clsrow", 8 * 729 * (2 * 1152 + 6 * 16), 2 * 4 * 8 * 729 * 16),
        (ColumnMean(), 0, "columnmean", 8 * 729 * 729 * (2 * 1152 + 6 * 16), 2 * 4 * 8 * 729 * 729 * 16),
        (ColumnMean(), 26, "columnmean", 8 * 400 * 400 * (2 * 1152 + 6 * 16), 2 * 4 * 8 * 400 * 400 * 16),
    ],
)
def test_a_probe_of_the_tower(probe: TowerProbe, block: int, name: str, flops: float, moved: float | None) -> None:
    (found,) = tower_ops(Asks(tower=[(probe, block)]), TOWER, SIGLIP, 4, 8)  # type: ignore[arg-type]
    state = 2 * 8 * (729 if block < 14 else 400) * 1152
    expected = Op(name, flops, load=state) if moved is None else Op(name, flops, load=2 * state + moved, store=moved)
    assert found == expected


def test_keys_of_the_tower_cost_nothing_and_merging_in_it_what_a_frame_costs() -> None:
    sites = [Site.tower(14, SIGLIP), Site.entrance(4), Site.layer(2, 4)]
    method = Asks(tower=[(TowerKeys(), 3)], sites=sites)
    keys, merge = tower_ops(method, TOWER, SIGLIP, 4, 8)  # type: ignore[arg-type]
    assert keys == Op("keys", 0) and method.asked == [("tower", 729, 400, 1152, 72)]
    state = 2 * 8 * 400 * 1152
    assert merge == Op("merge", 8 * 1000.0 * 400, load=2 * state, store=state)

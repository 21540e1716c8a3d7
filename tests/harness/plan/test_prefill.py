"""The cost of a whole prompt by part, in closed form, for a method that acts in tower, features and LLM."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest
from values import usual

from winnow.harness.config.schema import BudgetConfig
from winnow.harness.cost import llm_viewer, physical
from winnow.harness.cost.decode import step_op
from winnow.harness.cost.hardware import Hardware, Peak
from winnow.harness.cost.memory import kv_bytes, peak_bytes, weight_bytes
from winnow.harness.cost.op import Op
from winnow.harness.cost.shape import LLMShape
from winnow.harness.cost.vision import Linear, TowerShape, projector_ops, tower_ops
from winnow.harness.plan.nominal import Nominal, cost_of
from winnow.harness.plan.prefill import (
    HEAD,
    LLM,
    METHOD,
    PROJECTOR,
    TOWER,
    Cost,
    Memory,
    Prefill,
    cost,
    memory,
    papers,
    whole,
)
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Grid, Width
from winnow.reducers.core.probes import Rows
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import ClsRow, ColumnMean, Tower, TowerKeys

DEPTH, TEXT, FRAMES = 28, 100, 32
QWEN2 = LLMShape(layers=DEPTH, hidden=3584, heads=28, kv_heads=4, head_dim=128, mlp=18944, vocab=152064)
VIT = Tower(blocks=3, used=3, rows=24, cols=24, cls=True)
PROMPT = Nominal(
    shape=QWEN2, tower=VIT, vision=TowerShape(3, 1024, 16, 4096, patches=576, pixels=588, extra=1),
    projector=(Linear(576, 1024, 3584), Linear(576, 3584, 3584)), span=Grid(FRAMES, 576), text=TEXT, tied=False,
    mlp_add=True, attn="sdpa", dtype="float16",
)  # fmt: skip


@dataclass(frozen=True)
class Cuts(Reducer):
    """Leaves 300 patches behind block 1, 144 at the features, a quarter at layer 5, a tenth of it inside layer 9."""

    def sites(self, depth: int, tower: Tower | None = None) -> tuple[Site, ...]:
        vision = (Site.tower(1, tower), Site.features(tower)) if tower else ()
        return (*vision, Site.layer(5, depth), Site.inside(9, depth))

    def count(self, site: Site, grid: Grid, present: int) -> int:
        if site.kind == "tower":
            return 300
        return {"features": 144, "layer": present // 4, "inside": present // 10}[site.kind]

    def work(self, site: Site, grid: Grid, present: int, width: Width) -> float:
        return {"tower": 1.0, "features": 10.0, "layer": 100.0, "inside": 1000.0}[site.kind] * present

    def probes(self, depth: int) -> Any:
        return ((Rows("last"), 4), (Rows("text"), 9))

    def tower_probes(self, tower: Tower) -> Any:
        return ((ClsRow(), 0), (ColumnMean(), 2), (TowerKeys(), 1))


VISUAL = [FRAMES * 144] * 5 + [FRAMES * 36] * 5 + [FRAMES * 36 // 10] * 18


def flops(ops: Sequence[Op]) -> list[float]:
    return [op.flops for op in ops]


def test_the_plan_is_what_is_counted() -> None:
    assert PROMPT.plan(Cuts()) == VISUAL and PROMPT.visual == FRAMES * 576
    assert Cuts().plan_tower(DEPTH, VIT) == [576, 300, 300, 144]


def test_tower_and_projector_process_what_the_method_leaves_them() -> None:
    parts = whole(PROMPT, VISUAL, Cuts()).parts
    queries = [op.flops for op in parts[TOWER] if op.name == "q_proj"]
    inner = [op.flops for op in parts[TOWER] if op.name == "fc1"]
    assert queries == [2 * FRAMES * n * 1024**2 for n in (577, 577, 301)]
    assert inner == [2 * FRAMES * n * 1024 * 4096 for n in (577, 301, 301)]
    assert flops(parts[PROJECTOR]) == [2 * FRAMES * 144 * 1024 * 3584, 2 * FRAMES * 144 * 3584**2]


def test_the_methods_own_work_is_counted_where_it_acts() -> None:
    own = whole(PROMPT, VISUAL, Cuts()).parts[METHOD]
    before, inside = FRAMES * 144, FRAMES * 36  # tokens that reach layer 5, and the inside of layer 9
    row = 2 * 128 + 5 + 1  # of one head's score: the product, the softmax, the mean over heads
    llm = [
        row * 28 * (before + TEXT),  # the last token's row at layer 4
        row * 28 * TEXT * (inside + TEXT),  # the text's rows at layer 9
        100 * before, 1000 * inside,
    ]  # fmt: skip
    tower = [
        FRAMES * 576 * (2 * 1024 + 6 * 16),  # the class token's row in block 0, of patches alone
        FRAMES * 300**2 * (2 * 1024 + 6 * 16),  # all patches' columns in block 2
        0,
        FRAMES * 576, FRAMES * 10 * 300,
    ]  # fmt: skip
    assert flops(own) == [*llm, *tower]
    merged = [op for op in own if op.name == "merge"]
    states = [2 * 3584 * before, 2 * 3584 * inside, 2 * 1024 * FRAMES * 576, 2 * 1024 * FRAMES * 300]
    assert [(op.load, op.store) for op in merged] == [(2 * state, state) for state in states]


def test_decoder_and_head_process_visual_and_text_tokens() -> None:
    """What goes inside layer 9 is gone before its MLP."""
    made = whole(PROMPT, VISUAL, Cuts())
    behind = [*VISUAL[:9], VISUAL[10], *VISUAL[10:]]
    counts = [(n + TEXT, left + TEXT) for n, left in zip(VISUAL, behind, strict=True)]
    layers = [physical.layer_ops(QWEN2, n, "sdpa", 2, left) for n, left in counts]
    assert [sum(flops(ops)) for ops in made.layers] == [sum(flops(ops)) for ops in layers]
    inner = [op.flops for op in made.parts[LLM] if op.name == "up_proj"]
    assert inner == [2 * left * 3584 * 18944 for _, left in counts]
    assert made.parts[LLM] == [op for ops in made.layers for op in ops]
    assert flops(made.parts[HEAD]) == [2 * 3584 * 152064]


def test_a_tower_in_which_methods_cannot_act_is_whole_and_costs_them_nothing() -> None:
    sealed = replace(PROMPT, tower=None)
    cut, plain = whole(sealed, VISUAL, Cuts()), whole(sealed, VISUAL)
    assert cut.parts[TOWER] == plain.parts[TOWER] and cut.parts[PROJECTOR] == plain.parts[PROJECTOR]
    before, inside = FRAMES * 144, FRAMES * 36
    assert [op.flops for op in cut.parts[METHOD] if op.name == "merge"] == [100 * before, 1000 * inside]


def test_numbers_of_the_models_type_are_moved_and_of_the_papers_always_sixteen_bit() -> None:
    wide = replace(PROMPT, dtype="float32", attn="eager")
    made = whole(wide, VISUAL, Cuts())
    assert made.dtype == "float32" and made.profile == "physical"
    assert made.parts[HEAD] == [physical.head_op(QWEN2, 4)]
    assert made.layers[0] == physical.layer_ops(QWEN2, VISUAL[0] + TEXT, "eager", 4, VISUAL[0] + TEXT)
    assert made.parts[TOWER] == tower_ops(PROMPT.vision, FRAMES, [576, 300, 300], "eager", 4)
    assert made.parts[PROJECTOR] == projector_ops(PROMPT.projector, FRAMES, 144, 4)
    changes = [op for op in made.parts[METHOD] if op.name == "merge"]
    assert changes[0].store == 4 * 3584 * FRAMES * 144 and changes[-1].store == 4 * 1024 * FRAMES * 300
    half = papers(wide, VISUAL, Cuts())
    assert (half.profile, half.dtype) == ("llm-viewer-compat", "float16")
    assert half.parts[HEAD] == [llm_viewer.head_op(QWEN2, 2)]
    behind = [*VISUAL[:9], VISUAL[10], *VISUAL[10:]]
    for layer in (0, 9, 27):
        left = behind[layer] + TEXT
        assert half.layers[layer] == llm_viewer.layer_ops(QWEN2, VISUAL[layer] + TEXT, True, 2, False, left)
    bare = papers(replace(PROMPT, mlp_add=False), VISUAL)
    assert not any(op.name == "mlp_add" for op in bare.parts[LLM])


def test_a_total_is_that_of_all_parts() -> None:
    machine = Hardware("x", bandwidth=1, peak=Peak(fp16=1))
    made = whole(PROMPT, VISUAL, Cuts())
    every = [op for ops in made.parts.values() for op in ops]
    assert usual(Cost) == usual(Prefill) == usual(Memory) == {}
    assert made.total(machine) == cost(every, machine, "float16") and len(made.parts) == 5


def test_without_a_method_nothing_is_cut_and_nothing_is_added() -> None:
    made = whole(PROMPT, [PROMPT.visual] * DEPTH)
    assert made.parts[METHOD] == []
    assert {op.flops for op in made.parts[TOWER] if op.name == "fc1"} == {2 * FRAMES * 577 * 1024 * 4096}
    assert flops(made.parts[PROJECTOR]) == [2 * FRAMES * 576 * 1024 * 3584, 2 * FRAMES * 576 * 3584**2]


def test_the_papers_count_the_llm_alone_in_sixteen_bit() -> None:
    made = papers(PROMPT, VISUAL)
    assert set(made.parts) == {LLM, HEAD} and made.dtype == "float16"
    scores = [op.flops for op in made.parts[LLM] if op.name == "softmax"]
    assert scores == [5 * 28 * (n + TEXT) ** 2 for n in VISUAL]


def test_a_roofline_adds_the_slower_side_of_each_operator() -> None:
    machine = Hardware("x", bandwidth=1, peak=Peak(fp16=1, fp32=0.5, int8=2))
    ops = [Op("arithmetic", 3e12, weight=1e9), Op("traffic", 1e12, load=2e9, kv_load=3e9)]
    spent = cost(ops, machine, "float16")
    assert (spent.flops, spent.bytes, spent.seconds) == (4e12, 6e9, 3 + 5)
    assert cost(ops, machine, "float32").seconds == 6 + 5 and cost(ops, machine, "int4").seconds == 1.5 + 5
    assert cost(ops, machine, "bfloat16") == spent


def test_memory_of_a_prompt() -> None:
    machine = Hardware("x", bandwidth=1, peak=Peak(fp16=1e6))
    tokens = [n + TEXT for n in VISUAL]
    found = memory(PROMPT, VISUAL, machine)
    assert found.kv == kv_bytes(QWEN2, tokens) and found.weights == weight_bytes(
        QWEN2, False, PROMPT.vision, PROMPT.projector
    )
    assert found.peak == peak_bytes(QWEN2, tokens, found.weights, PROMPT.vision, FRAMES)
    assert found.step == pytest.approx(step_op(QWEN2, tokens).bytes / 1e9)
    wide = memory(replace(PROMPT, dtype="float32", attn="eager"), VISUAL, replace(machine, peak=Peak(fp32=1e6)))
    assert (wide.kv, wide.weights) == (2 * found.kv, 2 * found.weights)
    assert wide.peak == peak_bytes(QWEN2, tokens, wide.weights, PROMPT.vision, FRAMES, "eager", 4)
    assert wide.step == pytest.approx(step_op(QWEN2, tokens, width=4).bytes / 1e9)
    # One step reads decoder and head (no embedding), and the cache; each cached token takes two products.
    decoder = DEPTH * (2 * 3584 * 32 * 128 + 3 * 3584 * 18944) + 3584 * 152064
    step = step_op(QWEN2, tokens, done=3)
    assert step.weight == 2 * decoder and step.kv_load == kv_bytes(QWEN2, [n + 3 for n in tokens])
    assert step.flops == 2 * decoder + 4 * 28 * 128 * (sum(tokens) + 3 * DEPTH)


def test_a_budget_is_a_share_of_the_unreduced_prompt() -> None:
    """Half of the tokens at the entrance are half of the budget, not all of what entered."""
    visual, tokens = [50] * 8 + [25] * 20, [50 + 60] * 8 + [25 + 60] * 20
    mean = cost_of(BudgetConfig(mean=0.5), QWEN2, tokens, tokens, visual, 100, "sdpa")
    assert mean == pytest.approx((8 * 50 + 20 * 25) / 28 / 100)
    share = cost_of(BudgetConfig(flops=0.5), QWEN2, tokens, tokens, visual, 100, "sdpa")
    whole_prompt = physical.prefill_flops(QWEN2, [160] * 28)
    assert share == pytest.approx(physical.prefill_flops(QWEN2, tokens) / whole_prompt) and share < 0.7
    eager = cost_of(BudgetConfig(flops=0.5), QWEN2, tokens, tokens, visual, 100, "eager")
    assert eager == pytest.approx(
        physical.prefill_flops(QWEN2, tokens, "eager") / physical.prefill_flops(QWEN2, [160] * 28, "eager")
    )
    assert cost_of(BudgetConfig(), QWEN2, tokens, tokens, visual, 100, "sdpa") is None
    assert cost_of(BudgetConfig(mean=0.5), QWEN2, tokens, tokens, [0] * 28, 0, "sdpa") is None

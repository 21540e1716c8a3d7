"""Methods that merge between attention and MLP: each part of a layer is charged with the tokens it really processes."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from winnow.harness.config.overrides import cell_from
from winnow.harness.cost import LLMShape, llm_viewer, physical
from winnow.harness.cost.behind import mlp_tokens
from winnow.harness.cost.vision import TowerShape, tower_ops
from winnow.harness.plan.nominal import nominal
from winnow.harness.plan.prefill import HEAD, LLM, papers, whole
from winnow.models.check.cases import ARCH, tiny_model, video_prompt
from winnow.models.engine import attach
from winnow.models.families.arch import tiny
from winnow.reducers.cgsm import CGSM
from winnow.reducers.compose import Compose
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.schedule import First, K
from winnow.reducers.fastv import FastV
from winnow.reducers.random import RandomDrop
from winnow.reducers.tome import ToMe
from winnow.reducers.tome_tower import ToMeTower
from winnow.reducers.uniform import Uniform

MERGING = {
    "to the end": ToMe(ratio=0.3, schedule=First(6)),
    "half of it": ToMe(r=11, schedule=First(3)),
    "behind sampling": Compose(Uniform(ratio=0.5), ToMe(ratio=0.4, schedule=First(6))),
    "behind chance": Compose(RandomDrop(ratio=0.5), ToMe(r=3, schedule=First(6))),
    "no merging": FastV(ratio=0.2, schedule=K(2)),
}
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "o_proj", "out_proj")


def counted(reducer: Reducer) -> tuple[Any, Any, dict[str, float]]:
    """What torch counts in one prefill: the model, the trace, and the operations by module."""
    loaded: Any = tiny_model("llava", "sdpa")
    inputs = loaded.family.encode(loaded.processor, [video_prompt()])
    with torch.no_grad(), attach(loaded.model, reducer) as trace, FlopCounterMode(display=False, depth=None) as seen:
        loaded.model(**inputs)
    return loaded, trace, {name: sum(flops.values()) for name, flops in seen.get_flop_counts().items()}


def part(flops: dict[str, float], block: str, names: Sequence[str]) -> float:
    return sum(value for name, value in flops.items() if f"{block}." in name and name.endswith(tuple(names)))


@pytest.mark.parametrize("name", MERGING)
def test_each_layer_of_the_llm_is_what_torch_counts(name: str) -> None:
    _, trace, flops = counted(MERGING[name])
    shape = LLMShape.from_arch(tiny(ARCH, 20))
    (told,) = trace.prompts
    behind = mlp_tokens(MERGING[name], told.tokens_per_layer, [span.grid for span in told.layout.spans])
    assert name == "no merging" or behind != told.tokens_per_layer
    for layer, (n, left) in enumerate(zip(told.tokens_per_layer, behind, strict=True)):
        for ops in (physical.layer_ops(shape, n, mlp=left), llm_viewer.layer_ops(shape, n, mlp=left)):
            ours = {op.name: op.flops for op in ops}
            attention = sum(ours[f"{kind}_proj"] for kind in ("q", "k", "v", "out"))
            mlp = sum(ours[f"{kind}_proj"] for kind in ("gate", "up", "down"))
            block = f"language_model.layers.{layer}"
            assert part(flops, block, PROJECTIONS) == attention
            assert part(flops, block, ("gate_proj", "up_proj", "down_proj")) == mlp


@pytest.mark.parametrize("reducer", [ToMeTower(r=4), CGSM(r=3)], ids=["tome_tower", "cgsm"])
def test_each_block_of_the_tower_is_what_torch_counts(reducer: Reducer) -> None:
    loaded, _, flops = counted(reducer)
    tower = loaded.family.tower(loaded.model.config)
    vision = tiny(ARCH, 20)["vision"]
    shape = TowerShape.from_arch(vision, 25, cls_token=True)
    ops = tower_ops(shape, 4, reducer.plan_tower(6, tower)[:-1])
    for name, theirs in (("q_proj", "q_proj"), ("out_proj", "out_proj"), ("fc1", "fc1"), ("fc2", "fc2")):
        ours = [op.flops for op in ops if op.name == name]
        found = [part(flops, f"vision_tower.encoder.layers.{block}", (theirs,)) for block in range(shape.layers)]
        assert ours[: tower.used] == found[: tower.used]


def test_the_closed_form_at_full_scale() -> None:
    """LLaVA-1.5-7B, r tokens merged in each of 24 layers: an MLP has r tokens fewer than its layer."""
    cell = cell_from(["model=llava15", "reducer=tome", "reducer.r=19", "schedule.layers=24"])
    prompt, reducer = nominal(cell.model), ToMe(r=19)
    shape, visual = prompt.shape, prompt.plan(ToMe(r=19))
    assert prompt.mlp(reducer, visual) == [576 - 19 * (layer + 1) for layer in range(24)] + [120] * 8
    per_token = 6 * shape.hidden * shape.mlp + 5 * shape.mlp + 8 * shape.hidden
    tokens = [n + prompt.text for n in visual]
    before = physical.prefill_flops(shape, tokens, prompt.attn)
    parts = whole(prompt, visual, reducer).parts
    assert sum(op.flops for op in [*parts[LLM], *parts[HEAD]]) == pytest.approx(before - 24 * 19 * per_token, rel=1e-12)
    assert 1.01 < before / (before - 24 * 19 * per_token) < 1.04
    compat = papers(prompt, visual, reducer).parts
    said = llm_viewer.prefill_flops(shape, tokens, prompt.mlp_add)
    gone = 24 * 19 * (6 * shape.hidden * shape.mlp + (7 + prompt.mlp_add + 2) * shape.hidden)
    assert sum(op.flops for op in [*compat[LLM], *compat[HEAD]]) == pytest.approx(said - gone, rel=1e-12)


def test_without_pictures_nothing_merges() -> None:
    assert mlp_tokens(ToMe(), [7] * 30, []) == [7] * 30
    assert mlp_tokens(None, [7] * 3, [Grid(1, 4)]) == [7] * 3

"""A model before it is loaded: its tower as methods see it, its nominal prompt, what a budget measures."""

from dataclasses import replace
from typing import Any

import pytest
from values import usual

from winnow.harness.config.schema import BudgetConfig, ModelConfig, NominalConfig
from winnow.harness.cost.vision import Linear
from winnow.harness.plan.nominal import Nominal, cost_of, llm_shape, model_spec, nominal, vision_tower
from winnow.models.families.arch import tiny
from winnow.reducers.core.layout import Grid
from winnow.reducers.core.schedule import K
from winnow.reducers.core.tower import Tower
from winnow.reducers.fastv import FastV

LLM = {"llm": "qwen2", "layers": 8, "hidden": 128, "heads": 4, "kv_heads": 2, "mlp": 320, "vocab": 48, "tied": True}
VISION = {"layers": 6, "hidden": 128, "heads": 4, "mlp": 256, "image": 60, "patch": 12}
PROJECTOR = {"projector": [{"tokens": 24, "in": 128, "out": 256}]}


def model(vision: Any = None, tokens: int = 25, **more: Any) -> ModelConfig:
    arch = LLM | PROJECTOR | {"vision": VISION | (vision or {})}
    found = ModelConfig("m", "llava", "x", frames=8, has_cls=True, nominal=NominalConfig(8, tokens, 20), arch=arch)
    return replace(found, **more)


@pytest.mark.parametrize(
    ("vision", "tokens", "tower"),
    [
        ({}, 25, Tower(6, 6, 5, 5, True)),
        ({"feature_layer": -2}, 25, Tower(6, 5, 5, 5, True)),
        ({"image": 65}, 25, Tower(6, 6, 5, 5, True)),
        ({}, 9, Tower(6, 6, 5, 5, True, slots=9)),
        ({}, 36, Tower(6, 6, 5, 5, True)),
        ({"merge": 2}, 25, None),
        ({"reducible": False}, 25, None),
        ({"reducible": True}, 25, Tower(6, 6, 5, 5, True)),
    ],
)
def test_the_tower_that_methods_see(vision: dict[str, Any], tokens: int, tower: Tower | None) -> None:
    assert vision_tower(model(vision, tokens)) == tower


def test_a_nominal_prompt() -> None:
    made = nominal(model(attn="eager", dtype="float16", mlp_add=False, pixels=4))
    assert (made.span, made.text, made.visual) == (Grid(8, 25), 20, 200) and usual(Nominal) == {}
    assert (made.tied, made.mlp_add, made.attn, made.dtype) == (True, False, "eager", "float16")
    assert made.projector == (Linear(6, 128, 256),) and made.vision.patches == 25 and made.vision.extra == 1
    assert made.plan(FastV(ratio=0.5, schedule=K(2))) == [200] * 2 + [100] * 6 == made.mlp(None, [200] * 2 + [100] * 6)
    assert made.shape == llm_shape(model()) and made.shape.layers == 8


def test_random_weights_at_test_size_are_shrunk() -> None:
    small = model(weights="random", scale="tiny")
    assert llm_shape(small).layers == tiny(small.arch, 20)["layers"] < 8 or llm_shape(small).hidden < 128
    for whole in (model(weights="random"), model(scale="tiny")):
        assert llm_shape(whole) == llm_shape(model())


def test_what_is_loaded_is_what_the_yaml_says() -> None:
    spec = model_spec(model(dtype="bfloat16", revision="abc"))
    assert (spec.family, spec.repo, spec.dtype, spec.revision) == ("llava", "x", "bfloat16", "abc")


@pytest.mark.parametrize(
    ("budget", "full", "cost"),
    [
        (BudgetConfig(mean=0.1), 100, (2 * 100 + 6 * 40) / 8 / 100),
        (BudgetConfig(mean=0.1, tokens=9), 100, 0.55),
        (BudgetConfig(tokens=9), 100, 40.0),
        (BudgetConfig(), 100, None),
        (BudgetConfig(mean=0.1), 0, None),
        (BudgetConfig(tokens=9), 0, None),
    ],
)
def test_a_budgets_unit(budget: BudgetConfig, full: int, cost: float | None) -> None:
    visual = [100] * 2 + [40] * 6
    tokens = [n + 20 for n in visual]
    assert cost_of(budget, llm_shape(model()), tokens, tokens, visual, full, "sdpa") == cost

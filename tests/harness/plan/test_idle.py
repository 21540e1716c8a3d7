"""No method passes for a result where it keeps every visual token without being told to."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.config.cell import Cell
from winnow.harness.config.choices import options
from winnow.harness.config.compose import _method
from winnow.harness.config.compose_parts import OTHERS, expand
from winnow.harness.config.overrides import cell_from
from winnow.harness.config.schema import BudgetConfig, ModelConfig, NominalConfig, TasksConfig
from winnow.harness.plan.build import build_method
from winnow.reducers.core.errors import WinnowError

LLM = {"llm": "qwen2", "layers": 8, "hidden": 128, "heads": 4, "kv_heads": 2, "mlp": 320, "vocab": 48, "tied": True}
VISION = {"layers": 4, "hidden": 128, "heads": 4, "mlp": 256, "image": 60, "patch": 12}
MODEL = ModelConfig(
    "pico", "llava", "x", frames=8, has_cls=True, nominal=NominalConfig(8, 25, 20), arch=LLM | {"vision": VISION}
)
ONE = "it compares frames, of which this prompt has one; give the model two or more, or "


def outcome(name: str, frames: int) -> str:
    """What the plan of a method with its own settings comes to: an error, or a word."""
    given = expand("llm", {"name": name})
    method, budget = _method(name, given, BudgetConfig(), 8)
    model = replace(MODEL, nominal=NominalConfig(frames, 25, 20))
    try:
        built = build_method(Cell(model, method, TasksConfig(name="t"), budget, Path("runs")), runs=False)
    except WinnowError as error:
        return str(error)
    return "drops" if min(built.visual) < frames * 25 else "adaptive" if built.reducer.adaptive else "keeps"


@pytest.mark.parametrize("name", [name for name in options("reducer") if name not in OTHERS])
def test_a_method_that_keeps_everything_is_refused(name: str) -> None:
    many, one = outcome(name, 8), outcome(name, 1)
    assert many in ("drops", "adaptive") if name != "none" else many == one == "keeps"
    assert one in (many, "drops", f"reducer={name} {one.partition(' ')[2].partition(':')[0]}: {ONE}reducer=none")


def test_one_frame_has_no_pair() -> None:
    assert outcome("frame_pairs", 1) == (
        f"reducer=frame_pairs drops nothing in the 8 layers of model=pico at k=2: {ONE}reducer=none"
    )


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["reducer.entrance.ratio=1", "reducer.llm.name=frame_pairs"], r"llm.name=frame_pairs .*: it compares frames"),
        (["reducer.entrance.ratio=0.5", "reducer.llm.ratio=1"], ""),
        (["reducer.entrance.name=none", "reducer.llm.name=none"], ""),
    ],
)
def test_of_two_methods_each_has_to_drop(words: list[str], why: str) -> None:
    names = {"reducer.entrance.name": "divprune", "reducer.llm.name": "fastv"}
    given: dict[str, Any] = names | dict(word.split("=") for word in words)
    cell = cell_from(["model=llava15", "reducer=compose", *(f"{key}={value}" for key, value in given.items())])
    if not why:
        assert build_method(cell, runs=False).visual
        return
    with pytest.raises(WinnowError, match=why):
        build_method(cell, runs=False)

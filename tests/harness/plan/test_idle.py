"""No method passes for a result where it keeps every visual token without being told to."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.choices import options
from winnow.harness.config.compose import _method
from winnow.harness.config.compose_parts import OTHERS, expand
from winnow.harness.config.overrides import cell_from
from winnow.harness.config.schema import BudgetConfig, ModelConfig, NominalConfig, TasksConfig
from winnow.harness.plan.build import build_method
from winnow.harness.plan.idle import _mend, _ought_to_drop
from winnow.harness.plan.nominal import nominal
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.none import NoReduction

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


def method(ratio: bool = True, schedule: dict[str, Any] | None = None, name: str = "m") -> Method:
    return Method(name, "x:Y", {}, schedule, takes_ratio=ratio)


@pytest.mark.parametrize(
    ("asked", "knobs", "key", "said"),
    [
        (method(), {}, "reducer", "choose a smaller ratio"),
        (method(ratio=False), {}, "reducer", "choose settings that drop some"),
        (method(), {}, "reducer.llm.name", "choose a smaller reducer.llm.ratio"),
        (method(), {"R": 0.5, "tau": None}, "reducer", "change reducer.R"),
        (method(), {"R": 0.5, "tau": 1}, "reducer.entrance.name",
         "change reducer.entrance.R, or change reducer.entrance.tau"),
        (method(schedule={"kind": "k", "k": 8}), {}, "reducer", "set schedule.k within 1..8"),
        (method(schedule={"kind": "window", "l1": 8}), {"R": 1}, "reducer.llm.name",
         "change reducer.llm.R, or set reducer.llm.schedule.l1 and reducer.llm.schedule.l2 within 1..8"),
    ],
)  # fmt: skip
def test_what_would_drop_some_is_said(asked: Method, knobs: dict[str, Any], key: str, said: str) -> None:
    """Where the prompt has several frames; of what is not at work in a method nothing is said."""
    made = SimpleNamespace(native=tuple(knobs), plan=lambda *_: [0] * 8, **knobs)
    assert _mend(asked, made, nominal(MODEL), key) == said


@pytest.mark.parametrize(
    ("more", "present", "ought"),
    [
        ({}, 200, True), ({"prune": "text"}, 200, False), ({"prune": "visual"}, 200, True),
        ({"ratio": 1.0}, 200, False), ({"ratio": 0.9976}, 200, False), ({"ratio": 0.9974}, 200, True),
        ({"ratio": None}, 200, True), ({"ratio": 0.9}, 4, False), ({"ratio": 0.8}, 4, True),
    ],
)  # fmt: skip
def test_a_method_ought_to_drop_unless_it_was_told_to_keep_all(more: dict[str, Any], present: int, ought: bool) -> None:
    made: Any = SimpleNamespace(adaptive=False, **more)
    assert _ought_to_drop(method(), made, nominal(MODEL), present) == ought
    assert not _ought_to_drop(method(), NoReduction(), nominal(MODEL), present)


@pytest.mark.parametrize(
    ("asked", "drops", "ought"),
    [(method(), True, False), (method(), False, True), (method(ratio=False), False, False),
     (method(name="custom"), False, False)],
)  # fmt: skip
def test_what_looks_at_the_content_ought_to_drop_where_its_plan_of_a_picture_keeps_all(
    asked: Method, drops: bool, ought: bool
) -> None:
    def plan(spans: Any, depth: int, tower: Any) -> list[int]:
        ((frames, tokens, *_),) = spans
        assert (frames, depth) == (1, 8)
        return [tokens, tokens - drops] + [tokens] * 6

    made: Any = SimpleNamespace(adaptive=True, plan=plan)
    assert _ought_to_drop(asked, made, nominal(MODEL), 200) == ought

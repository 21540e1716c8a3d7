"""Reducers are built, checked and solved for a budget from the YAML files alone."""

import re
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from values import usual

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.label import headline, label
from winnow.harness.config.overrides import cell_from
from winnow.harness.config.schema import BudgetConfig, ModelConfig, NominalConfig, TasksConfig
from winnow.harness.plan.build import Built, Goal, _check_budget, build_method
from winnow.harness.plan.nominal import nominal
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.field_types import check_types

LLM = {"llm": "qwen2", "layers": 8, "hidden": 128, "heads": 4, "kv_heads": 2, "mlp": 320, "vocab": 96, "tied": True}
VISION = {"layers": 4, "hidden": 128, "heads": 4, "mlp": 256, "image": 60, "patch": 12}
MODEL = ModelConfig(
    "pico", "llava", "x", frames=8, has_cls=True, nominal=NominalConfig(8, 25, 20), arch=LLM | {"vision": VISION}
)
FASTV = Method(
    "fastv", "winnow.reducers.fastv:FastV", {"R": None, "rows": "last"}, {"kind": "k", "k": 4, "of": None}, 0.5, True
)
VAS_ROUNDS = {"kind": "rounds", "start": 4, "end": 6, "interval": 1, "of": None}
VAS = Method("vas", "winnow.reducers.vas:VAS", {"r": None}, VAS_ROUNDS, None, True)


def cell(method: Method, **budget: float) -> Cell:
    return Cell(MODEL, method, TasksConfig(name="t"), BudgetConfig(**budget), Path("runs"))  # type: ignore[arg-type]


def test_ratio_and_schedule_reach_the_reducer() -> None:
    built = build_method(cell(FASTV))
    assert built.ratio == 0.5 and built.planned is None
    assert nominal(MODEL).plan(built.reducer) == [200] * 4 + [100] * 4
    assert built.knobs["schedule"] == "k=4"


def test_what_is_kept_is_told_in_per_cent() -> None:
    assert build_method(cell(FASTV)).kept == "75 % of the visual tokens (100 % at first, 50 % at last)"
    assert build_method(cell(replace(FASTV, ratio=1 / 3))).kept == (
        "66.8 % of the visual tokens (100 % at first, 33.5 % at last)"
    )  # 67 of 200, and (4 * 200 + 4 * 67) / 1600
    looking = build_method(cell(VAS, mean=0.75)).kept  # at tokens, which a plan cannot
    assert looking == "about 74.9 % of the visual tokens (100 % at first, 37.5 % at last)"
    assert usual(Goal) == {"unit": ""}
    assert usual(Built) == {"ratio": None, "planned": None, "kept": "", "visual": [], "moved": ""}


def test_native_knob_wins() -> None:
    built = build_method(cell(replace(FASTV, args={"R": 0.75}, ratio=None)))
    assert nominal(MODEL).plan(built.reducer)[-1] == 50


@pytest.mark.parametrize(("mean", "ratio"), [(0.75, 0.5), (0.625, 0.25), (1.0, 1.0)])
def test_mean_budget_solves_the_ratio(mean: float, ratio: float) -> None:
    built = build_method(cell(replace(FASTV, ratio=None), mean=mean))
    assert built.ratio == pytest.approx(ratio, abs=0.01)
    assert built.planned == pytest.approx(mean, abs=0.005)


def test_flops_budget_solves_the_ratio() -> None:
    built = build_method(cell(replace(FASTV, ratio=None), flops=0.7))
    assert built.planned == pytest.approx(0.7, abs=0.01)
    assert built.ratio is not None and 0.3 < built.ratio < 0.5


def test_budget_of_an_adaptive_method_is_solved_with_forced_rounds() -> None:
    built = build_method(cell(VAS, mean=0.75))
    assert built.planned == pytest.approx(0.75, abs=0.02)


def test_budget_out_of_reach_names_the_range() -> None:
    with pytest.raises(WinnowError, match=r"this method attains 0\.5025 to 1 here"):
        build_method(cell(replace(FASTV, ratio=None), mean=0.3))


def test_method_without_ratio_has_no_budget() -> None:
    with pytest.raises(WinnowError, match="has no field 'ratio' that a budget could solve"):
        build_method(cell(Method("custom", "winnow.reducers.blind:Blind", {}, takes_ratio=True), mean=0.3))


def test_method_that_drops_nothing_is_refused() -> None:
    late = {"kind": "rounds", "start": 7, "end": -4, "interval": 1, "of": None}
    with pytest.raises(WinnowError, match="reducer=vas drops nothing in the 8 layers of model=pico at start=7 end=4"):
        build_method(cell(replace(VAS, schedule=late)))
    build_method(cell(replace(FASTV, ratio=1.0)))
    build_method(cell(replace(FASTV, ratio=0.999)))


def test_impossible_pair_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.harness.plan.build.impossible", lambda *facts: "needs a CLS token: use guide=mean")
    with pytest.raises(WinnowError, match="reducer=fastv cannot work on model=pico: needs a CLS token: use guide=mean"):
        build_method(cell(FASTV))


@dataclass
class Sample:
    number: float | None = None
    whole: int = 0
    flag: bool = False
    choice: Literal["a", "b"] = "a"
    many: tuple[float, ...] = ()
    anything: Any = None


@pytest.mark.parametrize(
    "values",
    [
        {"number": 1},
        {"number": None},
        {"whole": 2},
        {"flag": True},
        {"choice": "b"},
        {"many": (1, 0.5)},
        {"anything": []},
    ],
)
def test_types_that_fit(values: dict[str, Any]) -> None:
    check_types(Sample, values, "reducer.")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"number": "x"}, r"reducer\.number=x is not allowed: choose a value of type float \| null"),
        ({"number": True}, "number=True"),
        ({"whole": 0.5}, "choose a value of type int"),
        ({"flag": 1}, "choose a value of type bool"),
        ({"choice": "c"}, r"choice=c is not allowed: choose a \| b"),
        ({"many": ("x",)}, "choose a list of a value of type float"),
        ({"many": 1}, "choose a list of"),
    ],
)
def test_types_that_do_not_fit(values: dict[str, Any], message: str) -> None:
    with pytest.raises(WinnowError, match=message):
        check_types(Sample, values, "reducer.")


def test_label_shows_what_is_not_the_default() -> None:
    assert label(cell(FASTV)) == "fastv"
    assert label(cell(replace(FASTV, args=FASTV.args | {"rows": "all"}))) == "fastv rows=all"
    assert label(replace(cell(replace(FASTV, seeded=True)), seed=3)) == "fastv seed=3"
    assert label(replace(cell(FASTV), seed=3)) == "fastv"
    assert label(cell(Method("custom", "mine:Last", {"kept": 4}))) == "Last kept=4"


def test_headline_prints_the_knobs() -> None:
    line = headline(cell(FASTV, mean=0.75), "abc", {"ratio": 0.5, "R": None, "schedule": "k=4"}, 0.5, 0.75)
    assert line == "pico · fastv ratio=0.5 at k=4 for mean 0.75 (planned 0.75, ratio 0.5) · t · run abc"
    numbered = replace(cell(FASTV), model=replace(MODEL, positions="library"))
    assert headline(numbered, "abc", {}, None, None) == "pico positions=library · fastv · t · run abc"


LLAVA_NEXT = [(1, 576, 24, 0), (1, 1728, 48, 1)]
"""The views of a picture of 640 x 480 pixels on LLaVA-NeXT."""


def of(model: str, *words: str) -> Any:
    return build_method(cell_from([f"model={model}", "model.weights=random", *words])).reducer


@pytest.mark.parametrize("tokens", [640, 320, 160])
def test_a_number_of_tokens_holds_for_pictures_of_every_size(tokens: int) -> None:
    """By picture the number itself; by tile the share of the nominal prompt, so a smaller one keeps less."""
    words = ["reducer=fastv", f"budget.tokens={tokens}"]
    by_picture, by_tile = of("llava_next", *words), of("llava_next", *words, "budget.scope=tile")
    assert by_picture.plan([(5, 576)], 32) == by_tile.plan([(5, 576)], 32) == [2880] * 2 + [tokens] * 30
    assert by_picture.plan(LLAVA_NEXT, 32)[-1] == tokens
    assert by_tile.plan(LLAVA_NEXT, 32)[-1] == round(2304 * tokens / 2880)
    assert by_picture.plan(LLAVA_NEXT * 2, 32)[-1] == 2 * tokens
    assert by_picture.plan([(1, 100)], 32)[-1] == min(100, tokens)
    assert by_picture.plan([], 32) == [0] * 32


@pytest.mark.parametrize("tokens", [192, 128, 64])
@pytest.mark.parametrize("reducer", ["fastv", "divprune", "visionzip", "prumerge"])
def test_a_number_of_tokens_is_the_papers(reducer: str, tokens: int) -> None:
    made = of("llava15", f"reducer={reducer}", f"budget.tokens={tokens}")
    assert nominal(cell_from(["model=llava15"]).model).plan(made)[-1] == tokens


def test_methods_in_the_tower_keep_a_number_by_tile() -> None:
    words = ["model=llava_next", "model.weights=random", "reducer=visionzip", "budget.tokens=640"]
    built = build_method(cell_from([*words, "budget.scope=tile"]))
    assert built.planned == 640 and built.ratio == pytest.approx(128 / 576, abs=1e-3)
    with pytest.raises(WinnowError, match=r"reducer=visionzip acts on each view .* say budget.scope=tile"):
        build_method(cell_from(words))


def test_a_number_of_tokens_that_no_ratio_leaves_is_refused() -> None:
    with pytest.raises(WinnowError, match="budget 64 tokens is out of reach: this method attains 0 to 0 tokens"):
        of("llava15", "reducer=aim", "budget.tokens=64")


@pytest.mark.parametrize(
    ("most", "pixels", "said"),
    [(784 * 64, 1, ""), (784 * 256, 4, ""), (None, 1, ""),
     (784 * 100, 1, "not 100: say model.max_pixels=50176 | 200704, or another downsample.pixels"),
     (784 * 64, 2, "not 32: say model.max_pixels=100352 | 401408, or another downsample.pixels")],
)  # fmt: skip
def test_pictures_have_as_many_tokens_as_a_model_was_trained_with(most: int | None, pixels: int, said: str) -> None:
    model = SimpleNamespace(name="m", arch={"vision": {"patch": 14, "merge": 2}})
    cell: Any = SimpleNamespace(model=model, seen=SimpleNamespace(max_pixels=most, pixels=pixels))
    _check_budget(cell, ())
    expected = re.escape(f"model=m was trained with pictures of 64 | 256 tokens, {said}")
    with pytest.raises(WinnowError, match=expected) if said else nullcontext():
        _check_budget(cell, (64, 256))

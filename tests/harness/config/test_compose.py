"""What composing decides of ratio, native knobs and budgets, without Hydra."""

from dataclasses import replace
from typing import Any

import pytest
from values import usual

from winnow.harness.config.cell import Method
from winnow.harness.config.choices import listed
from winnow.harness.config.compose import (
    Settings,
    _check_counts,
    _check_relevance,
    _declared,
    _method,
    _share,
    _tracker,
    check_budget,
    check_share,
    check_stress,
    depth_of,
)
from winnow.harness.config.declared import Declared, declared
from winnow.harness.config.schedules import KINDS
from winnow.harness.config.schema import (
    BudgetConfig,
    ModelConfig,
    NominalConfig,
    ShareConfig,
    StressConfig,
    TasksConfig,
    TrackerConfig,
)
from winnow.reducers.core.errors import WinnowError

DEPTH = 8
RATIOS: dict[str, float | None] = {"ratio": 0.5, "budget.mean": 0.5, "budget.flops": 0.5}


def method(name: str, budget: BudgetConfig, ratio: float | None = None, **args: Any) -> tuple[Method, BudgetConfig]:
    node = {key: value for key, value in listed("reducer", name).items() if key != "defaults"} | args
    return _method(
        name, {"reducer": node, "schedule": {"kind": "k", "k": 2, "of": None}, "ratio": ratio}, budget, DEPTH
    )


def test_settings_are_whole_and_stay() -> None:
    assert usual(Settings) == {}


@pytest.mark.parametrize("budget", [BudgetConfig(mean=0.5), BudgetConfig(flops=0.5)])
def test_no_budget_beside_a_native_knob(budget: BudgetConfig) -> None:
    with pytest.raises(WinnowError, match=r"^a budget solves the ratio, but reducer\.R=0\.5 fixes it: give only one$"):
        method("fastv", budget, R=0.5)
    assert method("fastv", budget)[0].ratio is None and method("fastv", budget)[1] == budget


def test_a_native_knob_wins_over_the_ratio_and_the_default_fills_in() -> None:
    assert method("fastv", BudgetConfig(), 0.3, R=0.5)[0].ratio is None
    assert method("fastv", BudgetConfig(), 0.3)[0].ratio == 0.3
    assert method("fastv", BudgetConfig())[0].ratio == 0.5


@pytest.mark.parametrize("one", RATIOS)
@pytest.mark.parametrize("other", RATIOS)
def test_one_of_ratio_and_budgets_is_given(one: str, other: str) -> None:
    given = {name: value if name in (one, other) else None for name, value in RATIOS.items()}
    budget = BudgetConfig(mean=given["budget.mean"], flops=given["budget.flops"])
    if one == other:
        assert check_budget(budget, given["ratio"]) == budget
        return
    with pytest.raises(WinnowError, match="exclude each other: give only one of them") as caught:
        check_budget(budget, given["ratio"])
    assert f"{one}=0.5" in str(caught.value) and f"{other}=0.5" in str(caught.value)


@pytest.mark.parametrize(
    "wrong",
    [{"mean": 0}, {"mean": 1.5}, {"flops": -1}, {"flops": 0}, {"flops": 2}, {"tol": -0.1}, {"tol": float("nan")}],
)
def test_budgets_are_shares_and_tolerances_no_less_than_nothing(wrong: dict[str, float]) -> None:
    with pytest.raises(WinnowError, match=r"^budget\.(mean|flops|tol)=\S+ is not allowed: choose "):
        check_budget(BudgetConfig(**wrong), None)


@pytest.mark.parametrize("wrong", [{"tokens": 0}, {"tokens": -3}, {"scope": "frame"}])
def test_budgets_of_tokens_are_counts_of_pictures_or_tiles(wrong: dict[str, Any]) -> None:
    with pytest.raises(WinnowError, match=r"^budget\.(tokens|scope)=\S+ is not allowed: choose "):
        check_budget(BudgetConfig(**wrong), None)
    assert check_budget(BudgetConfig(tokens=1, scope="tile"), None).tokens == 1


@pytest.mark.parametrize("wrong", [0, 1.001, -0.5, True, "half", [0.5], float("nan")])
def test_a_ratio_is_a_share(wrong: object) -> None:
    with pytest.raises(WinnowError, match=r"^ratio=.* is not allowed: choose a share, 0 < ratio <= 1, or null$"):
        check_share(wrong, "ratio")
    assert check_share(None, "ratio") is None
    assert [check_share(value, "ratio") for value in (1, 1e-9, 0.25)] == [1, 1e-9, 0.25]


@pytest.mark.parametrize(
    ("memory", "fits"),
    [(None, True), (0.5, True), (1e-3, True), (0, False), (-1.0, False), (float("nan"), False)],
)
def test_what_is_shared_takes_some_memory(memory: float | None, fits: bool) -> None:
    if fits:
        assert _share(ShareConfig(memory=memory)).memory == memory
    else:
        with pytest.raises(WinnowError, match=r"^share\.memory=\S+ is not allowed: choose gigabytes, above 0"):
            _share(ShareConfig(memory=memory))


MODEL = ModelConfig("m", "llava", "r", frames=8, has_cls=True, nominal=NominalConfig(8, 25, 20), arch={"layers": 28})
COUNTS: dict[str, Any] = {"batch_size": 1, "limit": 1, "tasks": {"tasks": ["t"]}}


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"batch_size": 0}, "batch_size=0 is not allowed: choose 1 or more"),
        ({"limit": 0}, "limit=0 is not allowed: choose 1 or more"),
        ({"tasks": {"tasks": []}}, r"tasks.tasks=\[\] is empty: name at least one lmms-eval task"),
    ],
)
def test_counts_are_one_or_more(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(WinnowError, match=said):
        _check_counts(COUNTS | wrong, MODEL)
    _check_counts(COUNTS, MODEL)
    _check_counts(COUNTS | {"limit": None}, replace(MODEL, frames=1))
    with pytest.raises(WinnowError, match=r"model\.frames=0 is not allowed"):
        _check_counts(COUNTS, replace(MODEL, frames=0))


def test_depth_is_that_of_the_yaml_or_of_a_tiny_model() -> None:
    assert depth_of(MODEL) == 28 and depth_of(replace(MODEL, arch={})) is None
    assert depth_of(replace(MODEL, weights="random")) == depth_of(replace(MODEL, scale="tiny")) == 28
    tiny = replace(MODEL, weights="random", scale="tiny")
    assert depth_of(tiny) == 6 and depth_of(replace(tiny, arch={"layers": 28, "tiny_layers": 8})) == 8


def test_of_a_class_of_ones_own_anything_is_thought() -> None:
    assert _declared("custom", {}) == Declared(tuple(KINDS), takes_ratio=True, seeded=True)
    assert _declared("same", {}) == Declared()
    assert _declared("fastv", {"_target_": "winnow.reducers.fastv:FastV"}).takes_ratio


@pytest.mark.parametrize(
    ("stress", "fits"),
    [
        (StressConfig(), True), (StressConfig(3, "shift", "second"), True), (StressConfig(media="blur"), False),
        (StressConfig(question="mine"), False),
    ],
)  # fmt: skip
def test_the_ways_to_stress(stress: StressConfig, fits: bool) -> None:
    if fits:
        assert check_stress(stress) == stress
    else:
        with pytest.raises(WinnowError, match=r"^stress\.(media|question)=\w+ is not known: choose \w+ \|"):
            check_stress(stress)


@pytest.mark.parametrize(
    ("name", "relevance", "refused"), [("oracle", False, True), ("oracle", True, False), ("fastv", False, False)]
)
def test_what_needs_to_know_which_tokens_matter_needs_tasks_that_tell(
    name: str, relevance: bool, refused: bool
) -> None:
    known = declared(listed("reducer", name)["_target_"])
    tasks = TasksConfig("t", ["t"], relevance=relevance)
    if refused:
        with pytest.raises(WinnowError, match=f"reducer={name} needs documents that .* tasks=t lacks: choose a pico"):
            _check_relevance(known, name, tasks)
    else:
        _check_relevance(known, name, tasks)


def test_a_tracker_is_there_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.harness.config.compose.find_spec", lambda name: None)
    assert _tracker(TrackerConfig()) == TrackerConfig()
    with pytest.raises(WinnowError, match=r'^tracker=mlflow is not installed: pip install "winnow-vlm\[trackers\]"$'):
        _tracker(TrackerConfig("mlflow"))
    for wrong in (TrackerConfig("other"), TrackerConfig("mlflow", mode="later")):
        with pytest.raises(WinnowError, match=r"^tracker\.(name|mode)=\w+ is not known: choose \w+ \|"):
            _tracker(wrong)


def test_a_budget_of_everything_and_no_tolerance_are_allowed() -> None:
    assert check_budget(BudgetConfig(mean=1.0, tol=0.0), None).mean == 1

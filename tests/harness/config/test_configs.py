"""The YAML files agree with the code that they configure."""

import importlib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from cells import cell
from omegaconf import OmegaConf

from winnow import configs
from winnow.harness.common.folders import locate
from winnow.harness.config import schedules
from winnow.harness.config.choices import options
from winnow.harness.config.compose import depth_of
from winnow.harness.config.compose_parts import OTHERS
from winnow.harness.config.declared import declared
from winnow.harness.config.expand import each
from winnow.harness.config.schema import GROUPS, TasksConfig
from winnow.harness.plan.build import build_method, frozen
from winnow.harness.plan.nominal import llm_shape, nominal
from winnow.harness.tasks.catalogue import BENCHMARKS
from winnow.models.families import FAMILIES
from winnow.models.loading.spec import DTYPES
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.registry import find
from winnow.reducers.core.schedule import SCHEDULES

REDUCERS = [name for name in options("reducer") if name not in OTHERS]


def listed(group: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((configs.FOLDER / group / f"{name}.yaml").read_text())
    return found


@pytest.mark.parametrize("name", REDUCERS)
def test_reducer_names_the_schedule_of_its_class(name: str) -> None:
    known = {field.name: field.default for field in fields(find(listed("reducer", name)["_target_"]))}
    composed = cell(f"reducer={name}", "model=llava15")  # as deep as the numbers were chosen for
    if composed.method.schedule is None:
        assert known.get("schedule") is None
    else:
        numbers = {key: tuple(v) if isinstance(v, list) else v for key, v in composed.method.schedule.items()}
        assert SCHEDULES[numbers.pop("kind")](**numbers) == known["schedule"]


@pytest.mark.parametrize("name", REDUCERS)
def test_reducer_says_whether_it_draws_at_random(name: str) -> None:
    entry = listed("reducer", name)
    module = importlib.import_module(entry["_target_"].partition(":")[0])
    assert find(entry["_target_"]).seeded == ("generator(" in Path(str(module.__file__)).read_text())


@pytest.mark.parametrize("name", [*REDUCERS, *sorted(OTHERS)])
def test_reducer_says_where_its_ratio_is_taken(name: str) -> None:
    first = (configs.FOLDER / "reducer" / f"{name}.yaml").read_text().splitlines()[0]
    assert first.startswith("#") and "ratio" in first


@pytest.mark.parametrize("name", options("schedule"))
def test_schedule_states_its_rule_for_other_depths(name: str) -> None:
    text = (configs.FOLDER / "schedule" / f"{name}.yaml").read_text()
    entry = yaml.safe_load(text)
    assert text.startswith("#")
    if entry["kind"] == schedules.BY_REDUCER:
        parts = {key: value for key, value in entry.items() if key != "kind"}
    else:
        parts = {entry["kind"]: {key: value for key, value in entry.items() if key not in ("kind", schedules.FITS)}}
    for kind, numbers in parts.items():
        assert set(numbers) == set(schedules.KINDS[kind])


@pytest.mark.parametrize("depth", [8, 24, 28, 40])
def test_every_default_schedule_acts_in_every_depth(depth: int) -> None:
    for name in REDUCERS:
        entry = listed("reducer", name)
        own = dict(*entry.get("defaults", [{}])).get("override /schedule@_global_.schedule", "none")
        found = schedules.choose_schedule(name, declared(entry["_target_"]).schedules, listed("schedule", own), depth)
        if found:
            numbers = {key: frozen(value) for key, value in found.items()}
            made: Any = find(entry["_target_"])(schedule=SCHEDULES[numbers.pop("kind")](**numbers))
            assert min(made.plan([(8, 25)], depth)) < 200, name


def test_a_default_is_scaled_only_where_the_llm_is_too_shallow() -> None:
    assert cell("reducer=vtw").method.schedule == {"kind": "k", "k": 15, "of": 32}
    assert cell("reducer=vtw", "model=llava_ov").method.schedule == {"kind": "k", "k": 15, "of": None}
    assert cell("reducer=vtw", "schedule.k=14").method.schedule == {"kind": "k", "k": 14, "of": None}
    tiny = cell("reducer=tome", "model=llava_ov", "model.weights=random", "model.scale=tiny")
    assert tiny.method.schedule == {"kind": "first", "layers": 24, "of": 28}
    assert nominal(tiny.seen).shape.layers == depth_of(tiny.model)


def test_custom_methods_may_take_any_schedule() -> None:
    for kind in ("k", "window", "rounds", "cuts", "first"):
        assert cell("reducer=custom", "reducer.target=a:B", f"schedule={kind}").method.schedule["kind"] == kind
    assert cell("reducer=custom", "reducer.target=a:B").method.schedule is None


def test_pico_schedules_agree() -> None:
    pico = listed("schedule", "pico")
    for kind in ("k", "rounds", "window", "cuts", "first"):
        alone = listed("schedule", f"pico_{kind}")
        assert alone.pop("kind") == kind and alone == pico[kind]


@pytest.mark.parametrize("name", options("model"))
def test_model_is_known_and_of_its_shape(name: str) -> None:
    composed = cell(f"model={name}")
    model = composed.model
    assert model.name == name and model.family in FAMILIES and model.dtype in DTYPES
    frames = sorted((model.frames, model.nominal.frames))
    assert frames[1] % frames[0] == 0  # frames share a temporal step, or a picture has several views
    shape = llm_shape(model)
    assert shape.heads % shape.kv_heads == 0


def test_pico_yaml_is_the_shipped_checkpoint() -> None:
    from transformers import AutoConfig

    from winnow.models.loading.pretrained import locate as weights

    composed = cell().model
    config = AutoConfig.from_pretrained(weights(composed.repo))
    arch = composed.arch
    assert config.text_config.vocab_size == arch["vocab"]
    assert config.text_config.num_hidden_layers == arch["layers"]
    assert config.vision_config.num_hidden_layers == arch["vision"]["layers"]
    side = config.vision_config.image_size // config.vision_config.patch_size
    assert side * side == composed.nominal.tokens_per_frame


@pytest.mark.parametrize("name", options("tasks"))
def test_tasks_exist(name: str) -> None:
    tasks: Any = OmegaConf.merge(OmegaConf.structured(TasksConfig), listed("tasks", name))
    assert tasks.name == name
    if tasks.folder is None:
        assert set(tasks.tasks) <= set(BENCHMARKS)
    else:
        folder = locate(tasks.folder)
        assert folder is not None and all((folder / f"{task}.yaml").exists() for task in tasks.tasks)


COMPOSED_ELSEWHERE = {"model", "reducer"}
"""Groups whose every choice is composed for its cost, too."""


@pytest.mark.parametrize(
    "group",
    [
        pytest.param(group, marks=[pytest.mark.full] if group in COMPOSED_ELSEWHERE else [])
        for group in GROUPS
        if group not in {"experiment", "tasks"}
    ],
)
def test_every_choice_is_one_that_composes(group: str) -> None:
    chosen = [f"{group}={name}" for name in options(group)]
    assert [f"{group}={job.choices[group]}" for job in each([[word] for word in chosen])] == chosen


def test_pico_experiment_is_ten_cells() -> None:
    params = listed("experiment", "pico")["hydra"]["sweeper"]["params"]
    from winnow.harness.plan.identity import identify

    found = {}
    for reducer in params["reducer"].split(","):
        for ratio in params["ratio"].split(","):
            made = cell(f"reducer={reducer}", f"ratio={ratio}", f"schedule={params['schedule']}")
            found[identify(made).run] = made
    assert len(found) == 10
    places = {made.method.name: made.method.schedule for made in found.values()}
    assert places["random"] == places["fastv"] and places["none"] is None
    for made in found.values():
        build_method(made)


def test_ratio_is_normalised_away_where_it_means_nothing() -> None:
    assert cell("reducer=none", "ratio=0.5") == cell("reducer=none")
    assert cell("reducer=blind", "budget.mean=0.5") == cell("reducer=blind")
    assert cell("reducer=fastv", "reducer.R=0.7", "ratio=0.5").method.ratio is None
    assert cell("reducer=fastv", "ratio=null").method.ratio == 0.5
    assert cell("reducer=vas").method.ratio is None


@pytest.mark.parametrize(
    ("reducer", "schedule", "expected"),
    [
        ("fastv", "pico", {"kind": "k", "k": 5, "of": None}),
        ("random", "pico", {"kind": "k", "k": 5, "of": None}),
        ("random", "none", None),
        ("none", "pico", None),
        ("blind", "none", None),
    ],
)
def test_schedule_is_chosen_by_the_reducer(reducer: str, schedule: str, expected: Any) -> None:
    assert cell(f"reducer={reducer}", f"schedule={schedule}").method.schedule == expected


def test_schedule_for_no_kind_of_the_reducer_is_refused() -> None:
    rounds_only = {"kind": "by_reducer", "rounds": listed("schedule", "pico")["rounds"]}
    with pytest.raises(WinnowError, match="takes cuts: choose schedule=cuts"):
        schedules.choose_schedule("pdrop", ["cuts"], rounds_only)
    with pytest.raises(
        WinnowError, match="does not say which kind of schedule it takes: choose one of schedule=cuts, schedule=dycoke"
    ):
        cell("reducer=custom", "reducer.target=a:B", "schedule=pico")
    with pytest.raises(WinnowError, match=r"schedule.kind=foo is not known: choose none, k, window, rounds, cuts"):
        schedules.choose_schedule("fastv", ["k"], {"kind": "foo"})

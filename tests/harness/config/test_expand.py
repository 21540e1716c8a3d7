"""From words to jobs, one or several, without composing anything."""

from types import SimpleNamespace
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf
from values import usual

from winnow.harness.config.expand import Expanded, Job, _chooses, _inside, _is_number, _refuse_lists
from winnow.reducers.core.errors import WinnowError


def override(*words: str) -> Any:
    return tuple(OverridesParser.create().parse_overrides([*words]))


def job(*values: str, **more: Any) -> Job:
    config = OmegaConf.create({"ratio": None, "seed": 0, "limit": None, "reducer": {"k": 1}})
    return Job([*values], config, {"reducer": "fastv"}, override(*values), **more)


def test_what_is_meant_where_nothing_is_said() -> None:
    assert usual(Job) == {"values": (), "free": False, "sweeps": False} and usual(Expanded) == {"config": None}


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("ratio=0.5", True), ("ratio=1", True), ("seed=3", True), ("limit=4", True), ("batch_size=2", True),
        ("seed=1.5", False), ("ratio=null", False), ("limit=null", False), ("seed=true", False), ("ratio=half", False),
        ("reducer.k=3", False), ("+ratio=0.5", False), ("~ratio", False), ("ratio@x=0.5", False), ("other=1", False),
    ],
)  # fmt: skip
def test_numbers_that_a_cell_takes_as_they_are(word: str, number: bool) -> None:
    (found,) = override(word)
    assert _is_number(found) == number


def test_numbers_stand_apart_from_a_base_that_is_free_of_them() -> None:
    made = job("ratio=0.5", "reducer.k=2", "seed=3", free=True)
    assert made.numbers == {"ratio": 0.5, "seed": 3} and made.rest == ("reducer.k=2",)
    assert made.without_numbers() == {"ratio": None, "seed": 0, "limit": None, "reducer": {"k": 2}}
    assert made.config == {"ratio": 0.5, "seed": 3, "limit": None, "reducer": {"k": 2}}
    assert made.base == {"ratio": None, "seed": 0, "limit": None, "reducer": {"k": 1}}
    bound = job("ratio=0.5", "reducer.k=2")
    assert bound.numbers == {} and bound.rest == ("ratio=0.5", "reducer.k=2")
    assert bound.without_numbers() == bound.config != made.without_numbers()
    assert job("reducer.k=2", free=True).numbers == {}


@pytest.mark.parametrize(("launcher", "found"), [("basic", None), ("submitit_slurm", "submitit_slurm")])
def test_a_sweeps_launcher_is_told_where_it_is_not_the_basic_one(launcher: str, found: str | None) -> None:
    config = OmegaConf.create({"hydra": {"runtime": {"choices": {"hydra/launcher": launcher}}}})
    assert isinstance(config, DictConfig) and Expanded([], config).launcher == found
    assert Expanded([]).launcher is None


MEMORY: Any = SimpleNamespace(is_group=lambda key: key in ("reducer", "hydra"))


@pytest.mark.parametrize(
    ("word", "inside", "chooses"),
    [
        ("reducer.k=3", True, False), ("reducer=fastv", False, True), ("seed=3", False, False),
        ("budget.mean=1", False, False),        ("hydra.mode=RUN", False, True), ("other@reducer=fastv", False, True),
    ],
)  # fmt: skip
def test_what_chooses_an_option_and_what_sets_a_value_of_one(word: str, inside: bool, chooses: bool) -> None:
    (found,) = override(word)
    assert isinstance(found, Override)
    assert (_inside(found, MEMORY), _chooses(found, {"reducer"})) == (inside, chooses)


def test_a_list_is_no_choice() -> None:
    loader = SimpleNamespace(get_group_options=lambda key: ["a", "b"] if key == "tasks" else [])
    with pytest.raises(
        WinnowError, match=r"^tasks=\[a,b\] is not allowed: give one choice, or sweep with -m tasks=a,b$"
    ):
        _refuse_lists(override("seed=1", "tasks=[a,b]"), loader)
    _refuse_lists(override("tasks=a", "tasks.tasks=[a,b]", "only=[a]"), loader)

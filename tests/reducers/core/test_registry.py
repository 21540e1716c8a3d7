"""From names and values to methods: what fits a field, and what is said of the rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from winnow.reducers import fastv
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError, choose
from winnow.reducers.core.field_types import check_types, choices_of
from winnow.reducers.core.registry import METHODS, build, find, named
from winnow.reducers.core.schedule import K


@dataclass(frozen=True)
class Fields:
    """One field of each kind."""

    share: float = 0.5
    number: int = 1
    flag: bool = False
    word: str = "x"
    way: Literal["left", "right"] = "left"
    maybe: int | None = None
    several: int | Sequence[int] | None = None
    schedule: K = K(2)
    anything: Any = None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("share", 0.2), ("share", 1), ("number", 3), ("flag", True), ("word", "y"), ("way", "right"), ("maybe", None),
        ("maybe", 4), ("several", 3), ("several", (1, 2)), ("several", [1, 2]), ("several", None), ("schedule", K(4)),
        ("anything", object()), ("anything", "x"),
    ],
)  # fmt: skip
def test_values_of_their_type_fit(name: str, value: object) -> None:
    check_types(Fields, {name: value}, "reducer.")


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("share", "0.2", "a value of type float"), ("share", True, "a value of type float"),
        ("share", None, "a value of type float"), ("number", 1.0, "a value of type int"),
        ("number", True, "a value of type int"), ("flag", 1, "a value of type bool"),
        ("word", 1, "a value of type str"),
        ("way", "up", "left | right"), ("maybe", 1.5, "a value of type int | null"),
        ("several", (1, 2.5), "a value of type int | a list of a value of type int | null"),
        ("schedule", 2, "a value of type K"),
    ],
)  # fmt: skip
def test_others_are_refused_with_what_does(name: str, value: object, allowed: str) -> None:
    with pytest.raises(WinnowError) as error:
        check_types(Fields, {"flag": True, name: value}, "reducer.")
    assert str(error.value) == f"reducer.{name}={value} is not allowed: choose {allowed}"


def test_methods_are_made_by_name() -> None:
    assert named("fastv", {"ratio": 0.25}).name == "fastv" and type(named("tome", {})) is find(
        "winnow.reducers.tome:ToMe"
    )
    assert [named(name, {}).name for name in METHODS if name != "compose"] == [n for n in METHODS if n != "compose"]


@pytest.mark.parametrize(
    ("name", "values", "said"),
    [
        ("fastw", {}, r"unknown method 'fastw': did you mean fastv\?"),
        ("fastv", {"ration": 1}, r"has no parameter 'ration': did you mean ratio\? choose R, positions, ratio"),
        ("fastv", {"ratio": "x"}, "^fastv: ratio=x is not allowed: choose a value of type float"),
        ("compose", {}, "needs its parameter 'entrance': say compose: entrance="),
        ("nowhere.at:All", {}, "reducer target 'nowhere.at:All' cannot be imported"),
        ("winnow.reducers.fastv:Slow", {}, "cannot be imported"),
        ("winnow.reducers.core.base:top", {}, "is not a dataclass derived from"),
        ("winnow.reducers.core.layout:Layout", {}, "is not a dataclass derived from"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_is_named(name: str, values: dict[str, object], said: str) -> None:
    with pytest.raises(WinnowError, match=said):
        named(name, values)


@dataclass(frozen=True)
class Mute(Reducer):
    """Answers, but acts nowhere."""

    def reduce(self, view: Any) -> None:
        return None


def test_a_method_that_would_never_be_asked_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastv, "Mute", Mute, raising=False)
    with pytest.raises(WinnowError, match="answers, but nowhere: let its sites"):
        build("winnow.reducers.fastv:Mute", {})
    with pytest.raises(WinnowError, match=r"is not of the form their.package:Class"):
        find("fastv")


def test_the_nearest_choice_comes_first() -> None:
    known = ["gemma3", "gemma4", "llava", "qwen2_vl"]
    assert choose("gemma4_e", known) == "did you mean gemma4? choose gemma3, gemma4, llava, qwen2_vl"
    assert choose("qwe", known, " | ").startswith("did you mean qwen2_vl? choose gemma3 | gemma4")
    assert choose("ll", known) == "choose gemma3, gemma4, llava, qwen2_vl"  # two letters begin much
    assert choose("xyz", known) == "choose gemma3, gemma4, llava, qwen2_vl"


def test_fixed_choices_of_a_field() -> None:
    way = Literal["left", "right"]
    assert choices_of(way) == ("left", "right") and choices_of(way | None) == ("left", "right", None)
    assert choices_of(int) == choices_of(int | None) == choices_of(int | way) == ()

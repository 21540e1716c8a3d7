"""The runs of a table, from rows made by hand."""

from typing import Any

import pytest
from values import usual

from winnow.harness.config.preset import PaperRow, Preset
from winnow.harness.config.preset_runs import Part, choice, merge, overrides, parts
from winnow.reducers.core.errors import WinnowError

ROWS = (
    PaperRow("none", set=("reducer=none",)),
    PaperRow("fastv", set=("reducer=fastv", "ratio=0.5", "model.frames=8"), smoke=("ratio=0.2",)),
    PaperRow("trained", published="it needs training"),
)
TABLE = Preset(
    "t", "title", None, {"A": "a", "B": "b", "B score": "b:score"},
    ("model=llava_ov", "tasks.prompt=x", "seed=1"), ("model=pico",), ROWS, (),
)  # fmt: skip
COLUMNS = {"none": ["A", "B", "B score"], "fastv": ["A"], "trained": ["A"]}


def test_later_words_win_and_choices_stand_before_settings() -> None:
    assert merge(["b.c=1", "a=1", "b.c=2", "a=2", "d=3"]) == ("a=2", "d=3", "b.c=2")
    assert merge([]) == ()


def test_a_rows_words_stand_on_top_of_the_tables_and_below_those_of_the_command() -> None:
    words = ("model=llava_ov", "seed=2", "reducer=fastv", "ratio=0.5", "tasks.prompt=x", "model.frames=8")
    assert overrides(TABLE, ROWS[1], extra=["seed=2"]) == words


def test_smoke_replaces_models_and_what_is_set_of_tasks() -> None:
    assert overrides(TABLE, ROWS[1], smoke=True) == ("seed=1", "reducer=fastv", "ratio=0.2", "model=pico")


def test_another_task_drops_what_was_set_of_the_tables() -> None:
    said = overrides(TABLE, ROWS[0], extra=["tasks=c"])
    assert said == ("model=llava_ov", "seed=1", "reducer=none", "tasks=c")
    assert "tasks.prompt=x" in overrides(TABLE, ROWS[0], extra=["tasks.limit=c"])


def test_choice() -> None:
    assert (choice("b:score"), choice("b")) == ("b", "b")


def ran(*only: str, **more: Any) -> list[tuple[str, str]]:
    return [(part.row, part.task) for part in parts(TABLE, COLUMNS, only, more.get("smoke", False), ())]


def test_each_row_runs_once_on_each_of_its_benchmarks() -> None:
    assert ran() == [("none", "a"), ("none", "b"), ("fastv", "a")]
    assert [*parts(TABLE, COLUMNS, ["fastv"], False, ("limit=4",))] == [
        Part("fastv", "a", merge(["tasks=a", *overrides(TABLE, ROWS[1]), "limit=4"]))
    ]


def test_a_part_is_chosen_by_rows_and_tasks() -> None:
    assert ran("none") == [("none", "a"), ("none", "b")]
    assert ran("a") == [("none", "a"), ("fastv", "a")]
    assert ran("none", "b") == [("none", "b")] and ran("fastv", "b") == []
    assert ran("none", "fastv", "a", "b") == ran()


def test_what_cannot_be_chosen_is_said() -> None:
    with pytest.raises(WinnowError, match=r"^only=x is no part of t: choose rows none, fastv, trained or tasks a, b$"):
        ran("x")
    with pytest.raises(WinnowError, match="only=trained cannot be run: it needs training"):
        ran("trained")


def test_what_is_told_is_whole_and_stays() -> None:
    assert usual(Part) == {}

"""How a method is called, from cells made by hand."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.config.cell import Cell, Method, from_plain
from winnow.harness.config.label import headline, label
from winnow.harness.config.schema import (
    BudgetConfig,
    DownsampleConfig,
    ModelConfig,
    NominalConfig,
    StressConfig,
    TasksConfig,
)  # fmt: skip

MODEL = ModelConfig(name="m", family="llava", repo="r", frames=8, has_cls=True, nominal=NominalConfig(8, 25, 20))
FASTV = Method("fastv", "winnow.reducers.fastv:FastV", {"rows": "text"}, None, 0.5, True)


def made(method: Method = FASTV, **more: Any) -> Cell:
    return replace(Cell(MODEL, method, TasksConfig("t", ["t"]), BudgetConfig(), Path("runs")), **more)


def test_settings_that_are_not_the_default_are_named() -> None:
    assert label(made()) == "fastv rows=text"
    assert label(made(replace(FASTV, args={"rows": "last", "new": 1}))) == "fastv new=1"
    custom = Method("custom", "their.package:Clever", {"a": 1, "b": "x"})
    assert label(made(custom)) == "Clever a=1 b=x"


def test_two_methods_are_joined_with_their_ratios() -> None:
    parts = (replace(FASTV, ratio=0.25), Method("none", "winnow.reducers.none:NoReduction", {}))
    assert label(made(Method("compose", "x:Y", {}, parts=parts))) == "fastv 0.25 rows=text + none"


def test_what_the_model_is_given_and_does_by_itself_is_named() -> None:
    assert label(made(model=replace(MODEL, own_pruning=True))) == "fastv rows=text model.own_pruning=true"
    assert label(made(downsample=DownsampleConfig(2, 1))) == "fastv rows=text downsample.frames=2"
    assert label(made(downsample=DownsampleConfig(1, 4))) == "fastv rows=text downsample.pixels=4"
    assert label(made(stress=StressConfig(order=3))) == "fastv rows=text stress.order=3"


def test_the_seed_of_what_draws_is_named_but_for_zero() -> None:
    drawn = replace(FASTV, seeded=True)
    assert label(made(drawn, seed=2)) == "fastv rows=text seed=2"
    assert label(made(drawn)) == label(made(seed=2)) == "fastv rows=text"


@pytest.mark.parametrize(
    ("cell", "more", "said"),
    [
        (made(), ({"k": 3, "scope": None}, None, None), "m · fastv k=3 · t · run abc"),
        (made(), ({"schedule": "k=2"}, None, None, "50 %"), "m · fastv at k=2 · t · run abc · keeps 50 %"),
        (made(), ({"schedule": "k=2"}, None, None, "", "k=1"),
         "m · fastv at k=2 in place of k=1, where the model has no attention to read · t · run abc"),
        (made(budget=BudgetConfig(mean=0.5)), ({}, 0.33333, 0.49999),
         "m · fastv for mean 0.5 (planned 0.5, ratio 0.3333) · t · run abc"),
        (made(budget=BudgetConfig(mean=0.5)), ({}, None, 0.5), "m · fastv · t · run abc"),
        (made(model=replace(MODEL, positions="trained", own_pruning=False)), ({}, None, None),
         "m positions=trained · fastv · t · run abc"),
        (made(model=replace(MODEL, own_pruning=True)), ({}, None, None), "m own_pruning=true · fastv · t · run abc"),
    ],
)  # fmt: skip
def test_the_first_line_of_a_run(cell: Cell, more: tuple[Any, ...], said: str) -> None:
    assert headline(cell, "abc", *more) == said


@pytest.mark.parametrize(
    ("budget", "asked"),
    [
        (BudgetConfig(), "0.5"), (BudgetConfig(mean=0.25), "mean 0.25"), (BudgetConfig(flops=0.7), "flops 0.7"),
        (BudgetConfig(tokens=64), "tokens 64"), (BudgetConfig(tokens=64, scope="tile"), "tokens 64 by tile"),
        (BudgetConfig(mean=0.25, scope="tile"), "mean 0.25"),
    ],
)  # fmt: skip
def test_what_was_asked_for(budget: BudgetConfig, asked: str) -> None:
    cell = made(budget=budget)
    assert cell.asked == asked and cell.has_budget == (asked != "0.5")
    assert made(replace(FASTV, ratio=None)).asked == ""


def test_cells_are_answered_together_where_all_that_an_answer_sees_is_the_same() -> None:
    assert made().group == made(replace(FASTV, ratio=0.1), seed=3, force=True, results=Path("x")).group
    for more in ({"limit": 4}, {"batch_size": 2}, {"stress": StressConfig(order=1)}, {"tasks": TasksConfig("u", ["t"])},
                 {"downsample": DownsampleConfig(2)}, {"model": replace(MODEL, dtype="bfloat16")}):  # fmt: skip
        assert made(**more).group != made().group


def test_a_cell_is_read_as_it_was_written_and_as_older_versions_wrote_it() -> None:
    parts = (replace(FASTV, checkpoints=("text",)), replace(FASTV, ratio=0.1))
    for cell in (made(), made(replace(FASTV, parts=parts), limit=3, downsample=DownsampleConfig(2))):
        assert from_plain(json.loads(json.dumps(cell.plain()))) == cell
    older = made().plain()
    for name in ("stress", "media", "share", "tracker"):
        older.pop(name)
    older["method"].pop("checkpoints")
    assert from_plain(older) == made()

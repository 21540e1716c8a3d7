"""What a file's cells would execute, from cells made by hand."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import BudgetConfig, ModelConfig, NominalConfig, TasksConfig, TrackerConfig
from winnow.harness.config.trust import check_trust, strangers
from winnow.reducers.core.errors import WinnowError

MODEL = ModelConfig(name="m", family="llava", repo="r", frames=8, has_cls=True, nominal=NominalConfig(8, 25, 20))
FASTV = Method("fastv", "winnow.reducers.fastv:FastV", {})
CELL = Cell(MODEL, FASTV, TasksConfig("t", ["t"]), BudgetConfig(), Path("runs"))
THEIRS = replace(FASTV, target="their.package:Clever")


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, []),
        ({"method": THEIRS}, ["reducer.target=their.package:Clever"]),
        ({"method": replace(FASTV, parts=(FASTV, THEIRS))}, ["reducer.target=their.package:Clever"]),
        ({"tasks": TasksConfig("t", ["t"], folder="/theirs")}, ["tasks.folder=/theirs"]),
        ({"tasks": TasksConfig("t", ["t"], prepare="their:code")}, ["tasks.prepare=their:code"]),
        ({"tracker": TrackerConfig("mlflow", place="http://theirs")}, ["tracker.place=http://theirs"]),
        ({"tracker": TrackerConfig("mlflow", place="results/trackers")}, []),
        ({"tracker": TrackerConfig("none", place="http://theirs")}, []),
        ({"model": replace(MODEL, trust_remote_code="abc")}, ["model.trust_remote_code=abc"]),
    ],
)
def test_what_winnow_does_not_register(more: dict[str, Any], found: list[str], tmp_path: Path) -> None:
    cell = replace(CELL, **more)
    assert [*strangers(cell)] == found
    check_trust([CELL, cell], tmp_path, trust=True)
    if found:
        with pytest.raises(WinnowError, match=rf"would execute {found[0]}: if you know who wrote it, say --trust"):
            check_trust([CELL, cell], tmp_path, trust=False)
    else:
        check_trust([CELL, cell], tmp_path, trust=False)

"""A run's configuration, read back from what may be anybody's file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import BudgetConfig, ModelConfig, NominalConfig, TasksConfig
from winnow.harness.config.stored import stored_cell, stored_config
from winnow.reducers.core.errors import WinnowError

MODEL = ModelConfig(name="m", family="llava", repo="r", frames=8, has_cls=True, nominal=NominalConfig(8, 25, 20))
FASTV = Method("fastv", "winnow.reducers.fastv:FastV", {})
CELL = Cell(MODEL, FASTV, TasksConfig("t", ["t"]), BudgetConfig(), Path("runs"))


def plain(cell: Cell) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(cell.plain()))
    return found


def write(folder: Path, found: Any) -> Path:
    (folder / "config.yaml").write_text(found if isinstance(found, str) else yaml.safe_dump(found))
    return folder


def test_a_cell_is_read_as_it_was_written(tmp_path: Path) -> None:
    config = {"cell": plain(CELL), "inputs": {}}
    assert stored_config(write(tmp_path, config)) == config and stored_cell(tmp_path, trust=False) == CELL
    theirs = replace(CELL, method=replace(FASTV, target="their.package:Clever"))
    write(tmp_path, {"cell": plain(theirs), "inputs": {}})
    assert stored_cell(tmp_path, trust=True) == theirs
    with pytest.raises(WinnowError, match=r"config\.yaml would execute reducer\.target=their\.package:Clever"):
        stored_cell(tmp_path, trust=False)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("{", r"config\.yaml cannot be read: an imported run has none"), ("[1]", "is damaged or of an older version"),
        ({"cell": {}}, "is damaged or of an older version"), ({"inputs": {}}, "is damaged or of an older version"),
        ({"cell": [], "inputs": {}}, "is damaged or of an older version"),
        ({"cell": {}, "inputs": 3}, "is damaged or of an older version"),
    ],
)  # fmt: skip
def test_what_is_no_configuration_is_said(found: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(WinnowError, match=said):
        stored_config(write(tmp_path, found))


def test_a_folder_without_one_and_a_cell_that_is_none_are_said(tmp_path: Path) -> None:
    with pytest.raises(WinnowError, match=r"config\.yaml cannot be read: an imported run has none"):
        stored_config(tmp_path)
    wrong: tuple[Any, ...] = (
        {},
        plain(CELL) | {"method": 3},
        plain(CELL) | {"odd": 1},
        plain(CELL) | {"budget": {"x": 1}},
    )
    for one in wrong:
        with pytest.raises(WinnowError, match=r"config\.yaml holds no cell of this version of Winnow"):
            stored_cell(write(tmp_path, {"cell": one, "inputs": {}}), trust=True)

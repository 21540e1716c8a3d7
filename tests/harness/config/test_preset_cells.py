"""Which words of a command choose a part of a table, and which go to each of its runs."""

from types import SimpleNamespace
from typing import Any

import pytest
from values import usual

from winnow.harness.config import preset_cells

TABLE = {"title": "T", "rows": {"a": {"set": ["reducer=none"]}}}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a table was expanded with."""
    found: list[Any] = []

    def planned(preset: Any, only: Any, smoke: Any, extra: Any) -> list[Any]:
        found[:] = [preset.name, only, smoke, extra]
        return [] if only == ["nothing"] else ["planned"]

    monkeypatch.setattr(preset_cells, "planned", planned)
    return found


@pytest.mark.parametrize(("given", "only"), [(None, []), ("a", ["a"]), (["a", 3], ["a", "3"])])
def test_own_words_choose_and_the_others_go_to_each_run(asked: list[Any], given: Any, only: list[str]) -> None:
    config: Any = SimpleNamespace(only=given, smoke=True, table=TABLE)
    words = [
        "experiment=t",
        "only=x",
        "smoke=true",
        "controls=false",
        "+limit=4",
        "~model.arch",
        "++seed=1",
        "only.x=1",
    ]
    assert preset_cells.planned_by(config, "t", words) == ["planned"]
    assert asked == ["t", only, True, ("+limit=4", "~model.arch", "++seed=1", "only.x=1")]


def test_a_table_that_is_modelled_says_so(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    config: Any = SimpleNamespace(only="nothing", smoke=False, table=TABLE)
    assert preset_cells.planned_by(config, "t", []) == []
    assert capsys.readouterr().out == "t is modelled, and there is nothing to run: `winnow tables t` prints it\n"


def test_what_is_planned_is_whole_and_stays() -> None:
    assert usual(preset_cells.Planned) == {}

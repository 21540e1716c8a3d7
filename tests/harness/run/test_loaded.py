"""What a process keeps from one group to the next: documents by tasks and limit, models by all of their settings."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import BudgetConfig, MediaConfig, ModelConfig, NominalConfig, TasksConfig
from winnow.harness.run import loaded

CELL = Cell(
    ModelConfig(name="m", family="f", repo="r", frames=8, has_cls=False, nominal=NominalConfig(8, 25, 20)),
    Method("fastv", "x:Y", {}), TasksConfig("t", ["t"]), BudgetConfig(), Path("runs"),
)  # fmt: skip


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> loaded.LoadedModel:
    monkeypatch.setattr(loaded, "Tasks", lambda config: config)
    monkeypatch.setattr(loaded, "stamped", lambda tasks, limit: {name: [limit] for name in tasks.tasks})
    monkeypatch.setattr(loaded, "load_model", lambda wanted, *more: SimpleNamespace(model=wanted))
    monkeypatch.setattr(loaded, "reuse_tower", lambda model, *more: nullcontext(SimpleNamespace(passes=2, spared=1)))
    return loaded.LoadedModel()


def test_documents_are_loaded_once_for_equal_tasks_and_limits(kept: Any) -> None:
    first = kept.tasks(CELL)
    assert kept.tasks(replace(CELL, seed=1))[1] is first[1]
    assert kept.tasks(replace(CELL, limit=4))[1] == {"t": [4]}
    assert kept.tasks(replace(CELL, limit=8))[1] == {"t": [8]}
    assert kept.tasks(replace(CELL, limit=8, tasks=TasksConfig("t", ["u"])))[1] == {"u": [8]}
    assert kept.tasks(CELL)[1] == first[1] and kept.tasks(CELL)[1] is not first[1]


@pytest.mark.parametrize(
    "change", [{"dtype": "bfloat16"}, {"frames": 4}, {"weights": "random"}, {"arch": {"layers": 2}}]
)
def test_a_model_is_loaded_once_for_equal_settings(kept: Any, change: dict[str, Any]) -> None:
    first = kept.model(CELL.model)
    assert kept.model(replace(CELL.model)) is first
    other = kept.model(replace(CELL.model, **change))
    assert other is not first and vars(other.model)[next(iter(change))] == next(iter(change.values()))
    assert "passes of the vision tower: 4, spared: 2" in kept.shared()


def test_a_pool_serves_equal_ways_of_reading_and_ends_with_the_process(
    kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    def pool(*args: Any, **more: Any) -> Any:
        made.append(SimpleNamespace(args=args, closed=[], close=lambda: made[-1].closed.append(True)))
        return made[-1]

    monkeypatch.setattr(loaded, "Pool", pool)
    with kept:
        one = kept.pool(MediaConfig(workers=3, ahead_mb=5))
        assert kept.pool(MediaConfig(workers=3, ahead_mb=5)) is one
        kept.pool(MediaConfig(workers=3, ahead_mb=5, accept_damaged=True))
    assert [found.args for found in made] == [(3, 5 * loaded.MEGABYTE, False), (3, 5 * loaded.MEGABYTE, True)]
    assert kept._pools == {} and made[-1].closed

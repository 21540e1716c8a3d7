"""The run id changes with everything that can change an answer, and stays with everything else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import BudgetConfig, ModelConfig, NominalConfig, TasksConfig
from winnow.harness.data.inventory import Inventory
from winnow.harness.plan import identity
from winnow.harness.plan.identity import identify

ARCH = {"layers": 8, "hidden": 128}


def fastv(**changes: Any) -> Method:
    made = Method("fastv", "winnow.reducers.fastv:FastV", {"rows": "last"}, {"kind": "k", "k": 2}, 0.5, True)
    return replace(made, **changes)


@pytest.fixture
def stock(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the inventory finds: the prints of the documents of the one task."""
    found: dict[str, Any] = {"prints": ["one", "two"]}

    def inventory(*args: Any) -> Inventory | None:
        return Inventory({"some": found["prints"]}, {"some": "labels"}, {}, True, True) if found else None

    monkeypatch.setattr(identity, "inventory", inventory)
    return found


@pytest.fixture
def cell(tmp_path: Path, stock: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Cell:
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "model.safetensors").write_bytes(b"numbers")
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "task.yaml").write_text("task: some")
    (folder / "utils.py").write_text("x = 1")
    model = ModelConfig(
        name="pico",
        family="llava",
        repo=str(weights),
        frames=8,
        has_cls=True,
        nominal=NominalConfig(8, 25, 20),
        arch=ARCH,
    )
    tasks = TasksConfig(name="t", tasks=["some"], folder=str(folder), metric="accuracy", max_new_tokens=8)
    return Cell(model, fastv(), tasks, BudgetConfig(), tmp_path / "runs")


def model(**changes: Any) -> Callable[[Cell], Cell]:
    return lambda cell: replace(cell, model=replace(cell.model, **changes))


def method(**changes: Any) -> Callable[[Cell], Cell]:
    return lambda cell: replace(cell, method=fastv(**changes))


def tasks(**changes: Any) -> Callable[[Cell], Cell]:
    return lambda cell: replace(cell, tasks=replace(cell.tasks, **changes))


def test_revision_of_a_hub_model_counts(cell: Cell) -> None:
    hub = model(repo="org/model")(cell)
    assert identify(hub).run != identify(model(repo="org/model", revision="v2")(cell)).run


def test_random_weights_are_their_numbers(cell: Cell) -> None:
    base = model(weights="random")(cell)
    assert identify(base).run == identify(model(weights="random", repo="org/other")(cell)).run
    assert identify(base).run != identify(model(weights="random", scale="tiny")(cell)).run
    assert identify(base).run != identify(model(weights="random", arch=ARCH | {"layers": 9})(cell)).run


def test_context_and_settings(cell: Cell, tmp_path: Path) -> None:
    """Methods share the context; an outdated run shares the settings of its successor."""
    base, other = identify(cell), identify(method(ratio=0.25)(cell))
    assert base.context == other.context and base.settings != other.settings
    (tmp_path / "weights/model.safetensors").write_bytes(b"other numbers")
    edited = identify(cell)
    assert edited.settings == base.settings and edited.context != base.context


def test_solver_counts_with_a_budget(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = replace(cell, budget=BudgetConfig(mean=0.5))
    inputs = identify(budget).inputs["answers"]["method"]
    assert inputs["budget"]["mean"] == 0.5 and inputs["solver"]
    assert "solver" not in identify(cell).inputs["answers"]["method"]


def test_where_the_documents_are_not_here_tasks_name_the_run(cell: Cell, stock: dict[str, Any]) -> None:
    stock.clear()
    unknown = identify(cell)
    assert not unknown.known and unknown.run != identify(tasks(tasks=["other"])(cell)).run


def test_lines_share_answers_to_equal_documents(cell: Cell, stock: dict[str, Any]) -> None:
    before = identify(cell)
    stock["prints"] = ["other"]
    after = identify(cell)
    assert after.run != before.run and after.line == before.line != identify(method(ratio=0.25)(cell)).line


def test_no_name_reads_as_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hydra takes reducer.like=9e9152341276 for infinity, and 012345678901 for a number without its first digit."""
    digests = iter(["9e91523412765000", "0123456789015000", "9e9a523412765000"])
    monkeypatch.setattr(identity, "digest", lambda value: next(digests))
    assert identity.short({}) == "9e9a52341276"


def test_weights_beside_the_model_count_by_content(cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder wherever it lies; a repository by the commit on which it stands."""

    def named(source: str | None) -> str:
        method = Method("trim", "winnow.reducers.trim:TRIM", {"text_tower": source}, None, 0.25, True)
        return identify(replace(cell, method=replace(method, checkpoints=("text_tower",)))).run

    for name, content in (("one", b"a"), ("two", b"a"), ("three", b"b")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
    one, two, three = (named(str(tmp_path / name)) for name in ("one", "two", "three"))
    assert one == two != three and named("random") != named(None)
    commits = iter(("a" * 40, "b" * 40))
    monkeypatch.setattr(identity, "commit", lambda repo, revision: next(commits))
    assert named("org/clip") != named("org/clip")


def test_a_device_is_asked_for_where_one_is_named(cell: Cell) -> None:
    assert "device" not in identify(cell).inputs["asked"]["model"]
    assert identify(model(device="cuda:1")(cell)).inputs["asked"]["model"]["device"] == "cuda:1"

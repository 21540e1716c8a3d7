"""The run id changes with everything that can change an answer, and stays with everything else."""

import importlib.metadata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import BudgetConfig, ModelConfig, NominalConfig, TasksConfig
from winnow.harness.plan import identity
from winnow.harness.plan.identity import identify

ARCH = {"layers": 8, "hidden": 128}


def fastv(**changes: Any) -> Method:
    made = Method("fastv", "winnow.reducers.fastv:FastV", {"rows": "last"}, {"kind": "k", "k": 2}, 0.5, True)
    return replace(made, **changes)


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
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


CHANGES = {
    "repo": model(repo="org/other"),
    "weights": model(weights="random"),
    "family": model(family="llava_onevision"),
    "dtype": model(dtype="bfloat16"),
    "attention": model(attn="eager"),
    "frames": model(frames=16),
    "target": method(target="winnow.reducers.random:RandomDrop"),
    "argument": method(args={"rows": "all"}),
    "schedule": method(schedule={"kind": "k", "k": 3}),
    "ratio": method(ratio=0.25),
    "tasks": tasks(tasks=["some", "other"]),
    "metric": tasks(metric="other"),
    "tokens": tasks(max_new_tokens=16),
    "generation": tasks(generation={"num_beams": 2}),
    "task code": tasks(prepare="winnow.harness.tasks.pico.data:override"),
    "limit": lambda cell: replace(cell, limit=10),
    "budget": lambda cell: replace(cell, budget=BudgetConfig(mean=0.5)),
    "seed of a random method": lambda cell: replace(cell, seed=1, method=fastv(seeded=True)),
}
STAYS = {
    "name": model(name="another"),
    "device": model(device="cuda"),
    "cost convention": model(mlp_add=False),
    "architecture of trained weights": model(arch={"layers": 9}),
    "order of arguments": method(args=dict(reversed({"rows": "last"}.items()))),
    "results": lambda cell: replace(cell, results=Path("elsewhere")),
    "force": lambda cell: replace(cell, force=True),
    "seed of a method without chance": lambda cell: replace(cell, seed=1),
    "batch size in float32": lambda cell: replace(cell, batch_size=1),
    "name of the tasks": tasks(name="another"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_id_changes(cell: Cell, name: str) -> None:
    assert identify(CHANGES[name](cell)).run != identify(cell).run


@pytest.mark.parametrize("name", STAYS)
def test_id_stays(cell: Cell, name: str) -> None:
    assert identify(STAYS[name](cell)) == identify(cell)


def test_revision_of_a_hub_model_counts(cell: Cell) -> None:
    hub = model(repo="org/model")(cell)
    assert identify(hub).run != identify(model(repo="org/model", revision="v2")(cell)).run


def test_random_weights_are_their_numbers(cell: Cell) -> None:
    base = model(weights="random")(cell)
    assert identify(base).run == identify(model(weights="random", repo="org/other")(cell)).run
    assert identify(base).run != identify(model(weights="random", scale="tiny")(cell)).run
    assert identify(base).run != identify(model(weights="random", arch=ARCH | {"layers": 9})(cell)).run


def test_batch_size_counts_below_float32(cell: Cell) -> None:
    half = model(dtype="bfloat16")(cell)
    assert identify(half).run != identify(replace(half, batch_size=1)).run


@pytest.mark.parametrize(
    ("file", "content"),
    [("weights/model.safetensors", "other"), ("tasks/task.yaml", "task: some\n#"), ("tasks/utils.py", "x = 2")],
)
def test_files_count(cell: Cell, tmp_path: Path, file: str, content: str) -> None:
    before = identify(cell).run
    (tmp_path / file).write_text(content)
    assert identify(cell).run != before


@pytest.mark.parametrize("library", identity.LIBRARIES)
def test_versions_count(cell: Cell, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, version = identify(cell).run, importlib.metadata.version
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "0" if name == library else version(name))
    assert identify(cell).run != before


@pytest.mark.parametrize(
    "module",
    [
        "winnow.reducers.fastv",
        "winnow.models.engine.attach",
        "winnow.models.loading.load",
        "winnow.models.families.llava",
        "winnow.harness.data.media",
        "winnow.harness.run.generate",
    ],
)
def test_code_counts(cell: Cell, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before, fingerprint = identify(cell).run, identity.fingerprint

    def edited(modules: list[str], follow: Any = ()) -> str:
        return fingerprint(modules, follow) + ("edited" if module in modules else "")

    monkeypatch.setattr(identity, "fingerprint", edited)
    assert identify(cell).run != before


def test_context_and_settings(cell: Cell, tmp_path: Path) -> None:
    """Methods share the context; an outdated run shares the settings of its successor."""
    base, other = identify(cell), identify(method(ratio=0.25)(cell))
    assert base.context == other.context and base.settings != other.settings
    (tmp_path / "tasks/utils.py").write_text("x = 2")
    edited = identify(cell)
    assert edited.settings == base.settings and edited.context != base.context


def test_solver_counts_with_a_budget(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    budget = replace(cell, budget=BudgetConfig(mean=0.5))
    inputs = identify(budget).inputs["method"]
    assert inputs["budget"]["mean"] == 0.5 and inputs["solver"]
    assert "solver" not in identify(cell).inputs["method"]

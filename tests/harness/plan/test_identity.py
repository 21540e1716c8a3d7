"""The run id changes with everything that can change an answer, and stays with everything else."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from values import usual

from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import (
    BudgetConfig,
    DownsampleConfig,
    MediaConfig,
    ModelConfig,
    NominalConfig,
    ShareConfig,
    StressConfig,
    TasksConfig,
)
from winnow.harness.data.inventory import Inventory
from winnow.harness.plan import identity
from winnow.harness.plan.identity import Identity, identify, settings_of, short, without

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


PLAIN = Cell(
    ModelConfig("m", "llava", "org/model", frames=8, has_cls=True, nominal=NominalConfig(8, 25, 20), arch=ARCH),
    fastv(), TasksConfig("t", ["some"]), BudgetConfig(), Path("runs"),
)  # fmt: skip


def test_what_was_asked_names_settings_as_older_versions_did() -> None:
    """A name that changes parts a run from its newer ones, which then no longer count as outdated."""
    asked = {
        "model": {
            "repo": "org/model", "revision": None, "family": "llava", "dtype": "float32", "attn": "sdpa", "frames": 8
        },
        "tasks": {"names": ["some"], "metric": None, "limit": None, "max_new_tokens": None, "generation": {}},
        "method": {"target": "winnow.reducers.fastv:FastV", "args": {"rows": "last"}, "schedule": {"kind": "k", "k": 2},
                   "ratio": 0.5},
    }  # fmt: skip
    assert settings_of(PLAIN) == short(asked)
    more = {"dtype": "bfloat16", "max_pixels": 9, "pixels": 2, "quant": "int8", "positions": "trained"}
    more |= {"trust_remote_code": "abc", "device": "cpu", "revision": "v2"}
    model: Any = replace(PLAIN.model, own_pruning=True, **more)  # type: ignore[arg-type]
    tasks = TasksConfig("t", ["some", "more"], metric="m", max_new_tokens=4, generation={"num_beams": 2}, prompt="p")
    full = replace(
        PLAIN, model=model, tasks=tasks, limit=3, batch_size=2, method=replace(PLAIN.method, seeded=True), seed=5,
        downsample=DownsampleConfig(2, 1), stress=StressConfig(order=1), budget=BudgetConfig(tokens=64, scope="tile"),
        media=MediaConfig(accept_damaged=True), share=ShareConfig("all"),
    )  # fmt: skip
    assert settings_of(full) == short({
        "model": asked["model"] | more,
        "tasks": {
            "names": ["some", "more"], "metric": "m", "limit": 3, "max_new_tokens": 4, "generation": {"num_beams": 2},
            "prompt": "p",
        },
        "method": asked["method"] | {
            "seed": 5, "own_pruning": True, "downsample": {"frames": 2, "pixels": 1}, "stress": {"order": 1},
            "budget": {"mean": None, "flops": None, "tol": 0.02, "tokens": 64, "scope": "tile",
                       "nominal": {"frames": 8, "tokens_per_frame": 25, "text": 20}},
        },
        "batch_size": 2, "accept_damaged": True, "share": "all",
    })  # fmt: skip


def test_a_run_is_named_by_twelve_letters_that_are_no_number_whatever_the_order_of_keys() -> None:
    names = {short({"n": n, "m": {"a": [1, (2,)]}}) for n in range(3000)}
    assert len(names) == 3000 and {len(name) for name in names} == {12}
    for name in names:
        with pytest.raises(ValueError, match="could not convert"):
            float(name)
    assert short({"a": {"x": 1, "y": 2}, "b": (1, [2])}) == short({"b": [1, (2,)], "a": {"y": 2, "x": 1}})
    assert without({"a": 1, "b": 2, "c": 3}, ("a", "c")) == {"b": 2}
    assert usual(Identity) == {}

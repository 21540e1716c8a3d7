"""Every field of a cell, changed alone, changes exactly what it must of a run's names; none is left undecided."""

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import pytest
from values import anew

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
    TrackerConfig,
)
from winnow.harness.data.inventory import Inventory
from winnow.harness.plan import identity
from winnow.harness.plan.identity import identify

RUN, CONTEXT, LINE, SETTINGS, SCORE, REPORT = "run", "context", "line", "settings", "score", "report"
MODEL = {RUN, CONTEXT, LINE, SETTINGS}
"""What a change of the model itself, or of how it is read, must change."""
METHOD = {RUN, LINE, SETTINGS}
"""Likewise of the method: contexts are shared by methods."""


@dataclass(frozen=True)
class Case:
    """A field, its new value, what that changes, and what else is different before and after."""

    field: str
    value: Any
    changes: set[str]
    given: tuple[tuple[str, Any], ...] = ()


def case(field: str, value: Any, changes: set[str], **given: Any) -> Case:
    return Case(field, value, changes, tuple((name.replace("__", "."), value) for name, value in given.items()))


CASES = [
    case("model.name", "other", set()),
    case("model.family", "llava_onevision", MODEL),
    case("model.repo", "{root}/others", {RUN, CONTEXT, LINE}),
    case("model.repo", "org/other", MODEL, model__repo="org/model"),
    case("model.weights", "random", MODEL),
    case("model.weights", "{root}/others", {RUN, CONTEXT, LINE}),
    case("model.scale", "tiny", set()),
    case("model.scale", "tiny", MODEL, model__weights="random"),
    case("model.revision", "v2", set()),
    case("model.revision", "v2", MODEL, model__repo="org/model"),
    case("model.dtype", "bfloat16", MODEL),
    case("model.dtype", "float16", MODEL, model__dtype="bfloat16"),
    case("model.device", "cpu", MODEL),
    case("model.attn", "eager", MODEL),
    case("model.frames", 16, MODEL),
    case("model.max_pixels", 1000, MODEL),
    case("model.pixels", 2, MODEL),
    case("model.quant", "bnb-int8", MODEL),
    case("model.positions", "sequential", MODEL),
    case("model.own_pruning", False, set()),
    case("model.own_pruning", True, METHOD),
    case("model.trust_remote_code", "org/model", MODEL),
    case("model.has_cls", False, set()),
    case("model.mlp_add", False, {REPORT}),
    case("model.nominal.frames", 4, {REPORT}),
    case("model.nominal.tokens_per_frame", 4, {REPORT}),
    case("model.nominal.text", 4, {REPORT}),
    case("model.nominal.text", 4, {REPORT, *METHOD}, budget=BudgetConfig(mean=0.5)),
    case("model.arch", {"layers": 9}, {REPORT}),
    case("model.arch", {"layers": 9}, MODEL | {REPORT}, model__weights="random"),
    case("method.name", "other", set()),
    case("method.target", "winnow.reducers.vtw:VTW", METHOD),
    case("method.args", {"rows": "text"}, METHOD),
    case("method.schedule", {"kind": "k", "k": 3}, METHOD),
    case("method.ratio", 0.25, METHOD),
    case("method.takes_ratio", False, set()),
    case("method.seeded", True, METHOD),
    case("method.checkpoints", ("rows",), {RUN, LINE}),
    case("method.parts", (Method("vtw", "winnow.reducers.vtw:VTW", {}),), METHOD),
    case("tasks.name", "other", set()),
    case("tasks.tasks", ["other"], {SETTINGS, RUN, CONTEXT, SCORE}),
    case("tasks.folder", "{root}/others", {SCORE}),
    case("tasks.prepare", "winnow.harness.tasks.pico.data:ensure", set()),
    case("tasks.data", "{root}/others", set()),
    case("tasks.prompt", "short", {SETTINGS}),
    case("tasks.relevance", True, set()),
    case("tasks.metric", "other", {SETTINGS, SCORE}),
    case("tasks.failed_above", 0.1, {SCORE}),
    case("tasks.max_new_tokens", 9, {SETTINGS}),
    case("tasks.generation", {"num_beams": 2}, {SETTINGS}),
    case("budget.mean", 0.5, {REPORT, *METHOD}),
    case("budget.flops", 0.5, {REPORT, *METHOD}),
    case("budget.tokens", 64, {REPORT, *METHOD}),
    case("budget.scope", "tile", {REPORT}),
    case("budget.scope", "tile", {REPORT, *METHOD}, budget__tokens=64),
    case("budget.tol", 0.1, {REPORT}),
    case("budget.tol", 0.1, {REPORT, *METHOD}, budget__mean=0.5),
    case("downsample.frames", 2, METHOD),
    case("downsample.pixels", 2, METHOD),
    case("stress.order", 1, METHOD),
    case("stress.media", "shift", METHOD),
    case("stress.question", "other", METHOD),
    case("media.workers", 3, set()),
    case("media.ahead_mb", 3, set()),
    case("media.accept_damaged", True, MODEL),
    case("tracker", TrackerConfig("mlflow"), set()),
    case("share", ShareConfig(memory=1.0), set()),
    case("share", ShareConfig("none"), set()),
    case("share", ShareConfig("all"), MODEL),
    case("share", ShareConfig("all"), MODEL, model__dtype="bfloat16"),
    case("seed", 1, set()),
    case("seed", 1, METHOD, method__seeded=True),
    case("batch_size", 1, set()),
    case("batch_size", 1, MODEL, model__dtype="bfloat16"),
    case("batch_size", 1, MODEL, model__dtype="float16"),
    case("limit", 3, {SETTINGS}),
    case("force", True, set()),
    case("results", Path("elsewhere"), set()),
]
UNKNOWN = [
    case("tasks.tasks", ["other"], {RUN, CONTEXT, SETTINGS}),
    case("tasks.metric", "other", {RUN, CONTEXT, SETTINGS, SCORE}),
    case("tasks.max_new_tokens", 9, {RUN, CONTEXT, SETTINGS}),
    case("tasks.generation", {"num_beams": 2}, {RUN, CONTEXT, SETTINGS}),
    case("tasks.prompt", "short", {RUN, CONTEXT, SETTINGS}),
    case("limit", 3, {RUN, CONTEXT, SETTINGS}),
]
"""Where the documents are not here, the settings that decide them stand for them."""


@pytest.fixture
def cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cell:
    """A cell of local weights and tasks; what is known of code and documents stands still."""
    for folder in ("weights", "others", "tasks"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "file.yaml").write_text(folder)

    def inventory(tasks: TasksConfig, *more: Any) -> Inventory:
        return Inventory({name: ["print"] for name in tasks.tasks}, dict.fromkeys(tasks.tasks, "label"), {}, True, True)

    monkeypatch.setattr(identity, "inventory", inventory)
    monkeypatch.setattr(identity, "commit", lambda repo, revision: None)
    known = {"answering": {}, "scoring": "s", "reporting": "r", "solving": "b", "of_method": {}, "libraries": {}}
    for name, value in known.items():
        monkeypatch.setattr(identity.code, name, lambda *args, value=value: value)
    monkeypatch.setattr(identity.code, "forget", lambda: None)
    model = ModelConfig(
        name="m", family="llava", repo=str(tmp_path / "weights"), frames=8, has_cls=True,
        nominal=NominalConfig(8, 25, 20), arch={"layers": 8},
    )  # fmt: skip
    tasks = TasksConfig("t", ["some"], str(tmp_path / "tasks"), metric="accuracy")
    method = Method("fastv", "winnow.reducers.fastv:FastV", {"rows": "last"}, {"kind": "k", "k": 2}, 0.5, True)
    return Cell(model, method, tasks, BudgetConfig(), tmp_path / "runs")


def changed(thing: Any, field: str, value: Any) -> Any:
    """A copy with one field changed, at any depth."""
    name, _, rest = field.partition(".")
    return replace(thing, **{name: changed(getattr(thing, name), rest, value) if rest else value})


def effect(cell: Cell, made: Case, root: Path) -> set[str]:
    value = anew(made.value.format(root=root) if isinstance(made.value, str) else made.value)
    for name, given in made.given:
        cell = changed(cell, name, given)
    cell = anew(cell)
    before, after = identify(cell), identify(changed(cell, made.field, value))
    return {
        name for name in (RUN, CONTEXT, LINE, SETTINGS, SCORE, REPORT) if getattr(before, name) != getattr(after, name)
    }


@pytest.mark.parametrize("made", CASES, ids=lambda made: made.field)
def test_a_field_changes_what_it_must_and_nothing_else(made: Case, cell: Cell, tmp_path: Path) -> None:
    assert effect(cell, made, tmp_path) == made.changes


@pytest.mark.parametrize("made", UNKNOWN, ids=lambda made: made.field)
def test_where_documents_are_not_here_their_settings_stand_for_them(
    made: Case, cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "inventory", lambda *args: None)
    assert effect(cell, made, tmp_path) == made.changes


def test_every_field_is_decided() -> None:
    parts: dict[str, type] = {
        "model": ModelConfig, "model.nominal": NominalConfig, "method": Method, "tasks": TasksConfig,
        "budget": BudgetConfig, "downsample": DownsampleConfig, "media": MediaConfig,
        "stress": StressConfig,
    }  # fmt: skip
    known = {f"{at}.{field.name}" for at, part in parts.items() for field in fields(part)}
    known |= {field.name for field in fields(Cell)}
    assert {made.field for made in CASES} == known - {*parts}


@pytest.mark.parametrize("name", ["NVIDIA_TF32_OVERRIDE", "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE"])
def test_switches_of_gpus_count_wherever_one_may_answer(name: str, cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    cpu, before = changed(cell, "model.device", "cpu"), identify(cell)
    alone = identify(cpu)
    monkeypatch.setenv(name, "1")
    assert identify(cell).run != before.run and identify(cpu) == alone


def test_the_commit_of_a_hub_model_counts_in_the_place_of_its_name(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = changed(cell, "model.repo", "org/model")
    commits: dict[str | None, str] = {None: "a" * 40, "main": "a" * 40, "v2": "b" * 40}
    monkeypatch.setattr(identity, "commit", lambda repo, revision: commits[revision])
    plain, main, other = (identify(changed(hub, "model.revision", revision)) for revision in (None, "main", "v2"))
    assert plain.run == main.run != other.run and plain.settings != main.settings


def test_devices_are_the_same_by_kind(cell: Cell) -> None:
    runs = {name: identify(changed(cell, "model.device", name)).run for name in ("cuda", "cuda:1", "spread", "cpu")}
    assert runs["cuda"] == runs["cuda:1"] == runs["spread"] != runs["cpu"]


def test_the_order_of_keys_does_not_count(cell: Cell) -> None:
    one = changed(cell, "tasks.generation", {"num_beams": 2, "do_sample": False})
    two = changed(cell, "tasks.generation", {"do_sample": False, "num_beams": 2})
    assert identify(one) == replace(identify(two), inputs=identify(one).inputs)
    assert identify(one).settings != identify(cell).settings

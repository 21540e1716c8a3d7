"""A manifest executes what Winnow registers; anything else needs the user's word."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from winnow.harness.cli.main import app
from winnow.harness.common import owner
from winnow.harness.common.finished import seal
from winnow.harness.config.stored import stored_cell
from winnow.harness.results.report import collect
from winnow.harness.run import traces
from winnow.harness.run.record import Row
from winnow.harness.run.result import results_below
from winnow.harness.sweep import slurm
from winnow.harness.sweep.manifest import Manifest, load
from winnow.harness.sweep.plan import plan
from winnow.reducers.core.errors import WinnowError

MARKER = """
from pathlib import Path

def override(task):
    Path(MARK).write_text("executed")
    return {"task": task}
"""


def winnow(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def planned(tmp_path: Path, benchmark: Path, monkeypatch: pytest.MonkeyPatch) -> Manifest:
    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))
    made = plan(
        ["reducer=fastv", "ratio=0.25", "schedule=pico_k", "tasks=pico_video", "limit=2", f"results={tmp_path}"]
    )
    made.save()
    return made


def forge(planned: Manifest, change: Any) -> None:
    plain = json.loads(planned.path.read_text())
    change(plain["groups"][0])
    planned.path.write_text(json.dumps(plain))


def prepare(group: Any) -> None:
    group["shared"]["tasks"]["prepare"] = "marker_module:override"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (prepare, "tasks.prepare=marker_module:override"),
        (lambda group: group["shared"]["tasks"].update(folder="/tmp/tasks"), "tasks.folder=/tmp/tasks"),
        (lambda group: group["shared"]["method"].update(target="os:system"), "reducer.target=os:system"),
        (lambda group: group["shared"]["model"].update(trust_remote_code="a/b"), "model.trust_remote_code=a/b"),
    ],
)
@pytest.mark.parametrize("command", ["run", "work", "submit"])
def test_what_is_not_registered_is_named_and_refused(planned: Manifest, change: Any, named: str, command: str) -> None:
    forge(planned, change)
    refused = winnow(command, planned.path)
    assert isinstance(refused.exception, WinnowError)
    assert f"would execute {named}: if you know who wrote it, say --trust" in str(refused.exception)


def test_nothing_is_executed_before_the_word_is_given(
    planned: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "own").mkdir()
    monkeypatch.delitem(sys.modules, "marker_module", raising=False)
    (tmp_path / "own/marker_module.py").write_text(MARKER.replace("MARK", repr(str(mark))))
    monkeypatch.syspath_prepend(tmp_path / "own")
    monkeypatch.chdir(tmp_path / "own")  # the task without its true `prepare` looks for data there
    forge(planned, prepare)
    for command in ("run", "work", "status", "retry", "cancel"):
        winnow(command, planned.path)
    assert not mark.exists()
    planned.cancel.unlink()
    winnow("work", planned.path, "--trust")
    assert mark.read_text() == "executed"


@pytest.mark.parametrize("id_", ["../../out", "", "a/b", "0123456789AB", "imported-0123"])
def test_no_id_climbs_out_of_the_folder(planned: Manifest, id_: str) -> None:
    forge(planned, lambda group: group["cells"][0].update(id=id_))
    with pytest.raises(WinnowError, match="is no id of a run: make it again with `winnow plan`"):
        load(planned.path)


@pytest.mark.parametrize("missing", ["results", "groups", "stored", "basis"])
def test_a_manifest_without_a_key_is_one_line(planned: Manifest, missing: str) -> None:
    plain = json.loads(planned.path.read_text())
    del plain[missing]
    planned.path.write_text(json.dumps(plain))
    with pytest.raises(WinnowError, match=f"is damaged .*{missing}.*: make it again with `winnow plan`"):
        load(planned.path)


@pytest.mark.parametrize("jobs", [["1; rm"], ["１２"], ["1\n"], ["--all"], "12", [12], [""], {"1": 2}])
def test_only_ids_of_jobs_reach_slurm(planned: Manifest, monkeypatch: pytest.MonkeyPatch, jobs: Any) -> None:
    (planned.path.parent / "jobs.json").write_text(json.dumps(jobs))
    monkeypatch.setattr(slurm.subprocess, "run", lambda *args, **kwargs: pytest.fail("Slurm was called"))
    with pytest.raises(WinnowError, match=r"jobs\.json holds what are no ids of Slurm jobs"):
        slurm.cancel_jobs(planned)


def test_files_of_another_user_are_told_once(
    planned: Manifest, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owner.os, "getuid", lambda: 12345)
    owner.tell_owner.cache_clear()
    for _ in range(2):
        load(planned.path)
        results_below(planned.results)
    told = capsys.readouterr().err.splitlines()
    assert told == [f"note: {path} belongs to another user (root)" for path in (planned.path, planned.results)]


@pytest.fixture
def stored(planned: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of somebody else's, whose configuration names a function that leaves a mark."""
    monkeypatch.delitem(sys.modules, "marker_module", raising=False)
    (tmp_path / "marker_module.py").write_text(MARKER.replace("MARK", repr(str(tmp_path / "mark"))))
    monkeypatch.syspath_prepend(tmp_path)
    (planned_cell,) = planned.cells()
    cell, folder = planned_cell.cell, planned.results / planned_cell.id
    folder.mkdir(parents=True)
    plain = replace(cell, tasks=replace(cell.tasks, prepare="marker_module:override")).plain()
    config = {"cell": plain, "inputs": {"answers": {}}}
    (folder / "config.yaml").write_text(yaml.safe_dump(json.loads(json.dumps(config, default=str))))
    (folder / "result.json").write_text("{}")
    traces.write(folder / "traces.parquet", [Row("pico_video", 0, "x", grids=[[1, 1, 1]], visual=1)])
    (folder / "samples_pico_video.jsonl").write_text('{"doc_id": 0}\n')
    seal(folder, "", "")
    return folder


@pytest.mark.parametrize("command", ["view", "attention", "report", "rescore", "recost", "why"])
def test_no_run_executes_what_it_names(stored: Path, tmp_path: Path, command: str) -> None:
    words: dict[str, list[object]] = {
        "view": ["view", stored.name, "--sample", 0, "--out", tmp_path / "a.png"],
        "attention": ["view", stored.name, "--sample", 0, "--out", tmp_path / "a.png", "--attention"],
    }
    if command == "report":
        sample = {"task": "pico_video", "doc_id": 0}
        answer: dict[str, Any] = {"run": stored.name, "label": "fastv", "base": False}
        collect.pictures([sample | {"answers": [answer]}], stored.parent, 1)
        said = answer["why"]
    else:
        said = str(winnow(*words.get(command, [command, stored.name]), "--results", stored.parent).exception)
    assert "would execute tasks.prepare=marker_module:override: if you know who wrote it, say --trust" in said
    assert not (tmp_path / "mark").exists()


def test_what_a_run_names_is_executed_once_the_word_is_given(
    stored: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")  # the task without its true `prepare` looks for data there
    winnow("view", stored.name, "--sample", 0, "--results", stored.parent, "--out", tmp_path / "a.png", "--trust")
    assert (tmp_path / "mark").read_text() == "executed"


@pytest.mark.parametrize(
    "text", ["", "[1]", "{", "cell: 1\ninputs: 2", "cell: {}\ninputs: {answers: {}}", "\xff", "[" * 9999]
)
def test_a_damaged_configuration_is_one_line(stored: Path, text: str) -> None:
    (stored / "config.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(WinnowError, match=r"config\.yaml (cannot be read|is damaged|holds no cell)"):
        stored_cell(stored, trust=False)

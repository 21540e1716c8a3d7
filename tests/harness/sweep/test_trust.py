"""A manifest executes what Winnow registers; anything else needs the user's word."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from winnow.harness.cli.main import app
from winnow.harness.config import trust
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
    (tmp_path / "own/marker_module.py").write_text(MARKER.replace("MARK", repr(str(mark))))
    monkeypatch.syspath_prepend(tmp_path / "own")
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


@pytest.mark.parametrize("jobs", [["1; rm"], ["--all"], "12", [12], [""], {"1": 2}])
def test_only_ids_of_jobs_reach_slurm(planned: Manifest, monkeypatch: pytest.MonkeyPatch, jobs: Any) -> None:
    (planned.path.parent / "jobs.json").write_text(json.dumps(jobs))
    monkeypatch.setattr(slurm.subprocess, "run", lambda *args, **kwargs: pytest.fail("Slurm was called"))
    with pytest.raises(WinnowError, match=r"jobs\.json holds what are no ids of Slurm jobs"):
        slurm.cancel_jobs(planned)


def test_a_file_of_another_user_is_told(
    planned: Manifest, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trust.os, "getuid", lambda: 12345)
    trust.check_trust((one.cell for one in planned.cells()), planned.path, trust=False)
    assert f"note: {planned.path} belongs to another user (" in capsys.readouterr().err

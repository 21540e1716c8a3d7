"""Finished runs in a tracker: what it is told, by the real libraries with a local store; a failure loses nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from cells import cell
from written import task, write_run

from winnow.harness.config import compose
from winnow.harness.config.schema import TrackerConfig
from winnow.harness.config.trust import strangers
from winnow.harness.results.tracking import track as tracking
from winnow.harness.results.tracking.record import record_of
from winnow.harness.results.tracking.track import track
from winnow.reducers.core.errors import WinnowError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of FastV beside the unreduced one."""
    for name, reducer, share, scores in (("base", "none", 1.0, [1, 1, 1, 0]), ("abc", "fastv", 0.25, [1, 1, 0, 0])):
        write_run(
            tmp_path, scores, name, reducer=reducer, label=reducer, asked=f"{share:g}", tasks=[task("t", 60 + share)],
            shares={"entrance": 1.0, "mean": share, "last": share},
            cost={"profile": "physical", "tflops": share, "flops_share": share, "kv_bytes": 1e6 * share},
        )  # fmt: skip
        config = {"cell": {"model": {"name": "pico", "arch": {}}, "seed": 0}, "inputs": {}}
        (tmp_path / name / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path / "abc"


def test_a_tracker_is_told_settings_figures_with_intervals_table_and_plot(folder: Path, tmp_path: Path) -> None:
    found = record_of(folder, tmp_path)
    assert (found.run, found.name) == ("abc", "pico fastv 0.25")
    assert found.config == {"model.name": "pico", "model.arch": {}, "seed": 0}
    wanted = {"t/value": 60.25, "t/low": 58.25, "t/high": 62.25, "t/delta": -25.0, "mean": 0.25, "tflops": 0.25}
    assert wanted.items() <= found.metrics.items()
    assert [row["reducer"] for row in found.table] == ["none", "fastv"]
    assert found.plots["t"].stat().st_size > 5000
    assert {path.name for path in found.files} == {"result.json", "config.yaml"}


def test_off_by_default_and_nothing_is_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "import_module", lambda name: pytest.fail(f"{name} is imported"))
    assert cell().tracker == TrackerConfig() and not track(cell().tracker, folder)


def test_a_tracker_that_fails_is_one_line_and_no_loss(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def send(*_: Any) -> None:
        raise ConnectionError("no\nroute \x1b[31m")

    monkeypatch.setattr(tracking, "import_module", lambda name: SimpleNamespace(send=send))
    assert not track(TrackerConfig("wandb"), folder)
    said = capsys.readouterr().err
    assert said == "run abc is stored, but wandb did not take it: ConnectionError: no\n"


@pytest.mark.full
@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_server_that_is_down_is_one_line_within_a_minute_or_so(name: str, folder: Path, tmp_path: Path) -> None:
    place = "http://localhost:1" if name == "mlflow" else str(tmp_path / "kept")
    code = (
        "from pathlib import Path; from winnow.harness.config.schema import TrackerConfig; "
        "from winnow.harness.results.tracking.track import track; "
        f"print(track(TrackerConfig({name!r}, 'trial', 'online', {place!r}), Path({str(folder)!r})))"
    )
    there = {"WANDB_BASE_URL": "http://localhost:1", "WANDB_API_KEY": "0" * 40, "WANDB_ERROR_REPORTING": "false"}
    words = [sys.executable, "-c", code]  # apart, since wandb remembers a server for as long as its process lives
    done = subprocess.run(words, env=os.environ | there, check=True, capture_output=True, text=True, timeout=90)
    assert done.stdout.splitlines()[-1] == "False"
    assert f"run abc is stored, but {name} did not take it: " in done.stderr


def test_a_library_that_is_not_here_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "find_spec", lambda name: None)
    with pytest.raises(WinnowError, match=r'tracker=mlflow is not installed: pip install "winnow-vlm\[trackers\]"'):
        cell("tracker=mlflow")


def test_a_strangers_server_is_not_told_unasked() -> None:
    assert [*strangers(cell("tracker=mlflow", "tracker.place=http://there"))] == ["tracker.place=http://there"]
    assert not [*strangers(cell("tracker=mlflow"))]


@pytest.mark.full
def test_mlflow_keeps_a_run_once(folder: Path, tmp_path: Path) -> None:
    from mlflow import MlflowClient

    tracker = TrackerConfig("mlflow", "trial", "offline", str(tmp_path / "kept"))
    assert track(tracker, folder) and track(tracker, folder)
    client = MlflowClient((tmp_path / "kept").as_uri())
    experiment = client.get_experiment_by_name("trial")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.data.params["model.name"] == "pico" and run.data.metrics["t/delta"] == -25.0
    assert run.info.run_name == "pico fastv 0.25" and run.info.status == "FINISHED"
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"result.json", "config.yaml", "runs.json", "plots"} <= names


@pytest.mark.full
def test_wandb_keeps_a_run_offline(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "data"))
    assert track(TrackerConfig("wandb", "trial", "offline", str(tmp_path / "kept")), folder)
    (kept,) = (tmp_path / "kept/wandb").glob("offline-run-*-abc")
    assert next(kept.glob("run-abc.wandb")).stat().st_size > 2_000
    assert any(kept.glob("files/media/images/plot/*.png"))
    (table,) = kept.glob("files/media/table/*.json")
    assert "fastv" in json.dumps(json.loads(table.read_text())) and "wandb" in sys.modules

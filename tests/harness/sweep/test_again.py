"""Finished runs under other code, labels and data: scored anew from stored answers, or run anew; end to end."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from runs import FASTV, counted, only, result_of
from typer.testing import CliRunner

from winnow.harness.cli.main import app
from winnow.harness.data import media
from winnow.harness.plan import code
from winnow.harness.run import answer, preparing
from winnow.harness.run import loaded as kept

Run = Any
COMMAND = (*FASTV, "limit=4", "tasks=pico_video")


def winnow(*words: object) -> Any:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture
def own(benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> Path:
    """A copy of the benchmark that may be changed."""
    media.forget()
    shutil.copytree(benchmark / "pico", tmp_path / "cache/pico")
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/pico"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    return counted(monkeypatch, kept, "load_model")


def relabel(own: Path) -> None:
    (path,) = own.rglob("video/test.parquet")
    rows = pq.read_table(path).to_pylist()
    pq.write_table(pa.Table.from_pylist([row | {"answer": "nothing"} for row in rows]), path)


def test_labels_are_scored_anew_from_stored_answers(run: Run, results: Path, own: Path, calls: list[Any]) -> None:
    assert run(*COMMAND).code == 0
    folder, before = only(results), result_of(only(results))
    relabel(own)
    again = run(*COMMAND)
    assert again.code == 0 and "made its score: computed again from 4 stored answers" in again.err
    after = result_of(folder)
    assert len(calls) == 1 and after["id"] == before["id"]
    assert before["tasks"][0]["mean"] > after["tasks"][0]["mean"] == 0
    assert after["shares"] == before["shares"] and after["cost"] == before["cost"]
    assert "stored" in run(*COMMAND).out and len(calls) == 1


@pytest.mark.parametrize(("layer", "command"), [("scoring", "rescore"), ("reporting", "recost")])
def test_commands_compute_layers_anew(
    run: Run, results: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch, layer: str, command: str
) -> None:
    assert run(*COMMAND).code == 0
    folder = only(results)
    assert "nothing differs" in winnow("why", folder.name, "--results", results).output
    old = shutil.copytree(folder, results / "00old")
    (old / "config.yaml").write_text("cell: {}\ninputs: {}\n")
    monkeypatch.setattr(code, layer, lambda: "edited")
    monkeypatch.setattr(code, "forget", lambda: None)
    said = winnow("why", folder.name, "--results", results).output
    kind = "score" if layer == "scoring" else "report"
    assert f"a new {kind} of the same answers:\n  code: " in said and said.rstrip().endswith("| edited")
    done = winnow(command, "--results", results)
    assert done.exit_code == 0 and len(calls) == 1, done.output
    assert f"left out: {old}/config.yaml is of an older version of Winnow" in done.output
    assert "nothing differs" in winnow("why", folder.name, "--results", results).output
    assert json.loads((folder / "DONE").read_text())[kind]


def test_why_names_a_setting_and_two_runs(run: Run, results: Path) -> None:
    assert run(*COMMAND).code == 0
    first = only(results)
    said = winnow("why", first.name, *COMMAND[:1], "ratio=0.5", *COMMAND[2:], "--results", results).output
    assert "new answers:" in said and "method.ratio: 0.25 | 0.5" in said
    assert run("reducer=none", "limit=4", "tasks=pico_video").code == 0
    (second,) = (path.parent for path in results.glob("*/DONE") if path.parent != first)
    assert "method.target: " in winnow("why", first.name, second.name, "--results", results).output


def test_swapped_videos_make_a_new_run_that_answers_them_alone(
    run: Run, results: Path, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(*COMMAND, "batch_size=1").code == 0
    first = only(results)
    one, two = (next(own.rglob(f"video/test/{name}.mp4")) for name in ("0000", "0001"))
    held = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(held)
    media.forget()
    asked = counted(monkeypatch, answer, "answer")
    again = run(*COMMAND, "batch_size=1")
    assert again.code == 0 and "2 answers of earlier runs hold for it" in again.err
    assert [document.doc_id for args in asked for document in args[2].documents] == [0, 1]
    (second,) = (path.parent for path in results.glob("*/DONE") if path.parent != first)
    contexts = {result_of(folder)["context"] for folder in (first, second)}
    assert len(contexts) == 2 and result_of(first)["settings"] == result_of(second)["settings"]


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_text("{")], ids=["missing", "damaged"])
def test_a_result_that_is_not_there_is_made_of_stored_answers(
    run: Run, results: Path, calls: list[Any], harm: Any
) -> None:
    assert run(*COMMAND).code == 0
    harm(only(results) / "result.json")
    again = run(*COMMAND)
    assert again.code == 0 and "result.json is damaged: computed again from 4 stored answers" in again.err
    assert len(calls) == 1 and result_of(only(results))["status"] == "complete"


def test_damaged_traces_are_answered_again(run: Run, results: Path, calls: list[Any]) -> None:
    assert run(*COMMAND).code == 0
    path = only(results) / "traces.parquet"
    path.write_bytes(path.read_bytes()[:-9] + b"PAR1 PAR1")
    (only(results) / "result.json").unlink()
    assert run(*COMMAND).code == 0 and len(calls) == 2


def test_rows_know_their_pixels(run: Run, results: Path, own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is replaced while a run is going on fails its document instead of passing for the other."""
    video = next(own.rglob("video/test/0003.mp4"))
    prepare = preparing.prepare

    def late(*args: Any) -> Any:
        video.write_bytes(next(own.rglob("video/test/0009.mp4")).read_bytes())
        return prepare(*args)

    monkeypatch.setattr(preparing, "prepare", late)
    ran = run(*COMMAND, "batch_size=1")
    assert ran.code == 1 and "its files changed since the run began" in ran.err


def test_configuration_names_all_layers(run: Run, results: Path) -> None:
    assert run(*COMMAND).code == 0
    found = yaml.safe_load((only(results) / "config.yaml").read_text())
    assert set(found["inputs"]) == {"asked", "answers", "score", "report"} and found["line"]

"""Whole runs in one zip and back, as foreign ones: everything that looks at a run works on them, forged ones do not."""

import io
import json
import re
import shlex
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
import yaml
from runs import FASTV, only, result_of, samples_of
from written import write_run

from winnow.harness.cli import run as app
from winnow.harness.cli.commands import look
from winnow.harness.cli.commands.figures import figures
from winnow.harness.cli.commands.sweep import rerun
from winnow.harness.common.finished import damage, seal
from winnow.harness.common.run_files import read_scores
from winnow.harness.config.overrides import cell_from
from winnow.harness.config.stored import stored_cell, stored_config
from winnow.harness.results.exchange import archive, unbundle
from winnow.harness.results.exchange.compare import compared
from winnow.harness.run import traces
from winnow.harness.run.stored import adopted
from winnow.harness.sweep import again
from winnow.harness.sweep import rerun as repeating
from winnow.reducers.core.errors import WinnowError


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, benchmark: Path) -> Path:
    """A folder of one real run, to be looked at."""
    results = tmp_path_factory.mktemp("store") / "runs"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_CACHE", str(benchmark))
        assert app.main([*FASTV, "limit=4", "batch_size=4", f"results={results}"]) == 0
    return results


@pytest.fixture(scope="module")
def real(store: Path) -> Path:
    """It as a bundle."""
    assert archive.write(store, store.parent / "all.zip", full=True) == 1
    return store.parent / "all.zip"


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A run written by hand, as a bundle to be forged."""
    write_run(tmp_path / "runs", [1, 0], "abc123")
    seal(tmp_path / "runs/abc123", "", "")
    assert archive.write(tmp_path / "runs", tmp_path / "all.zip", full=True) == 1
    return tmp_path / "all.zip"


@contextmanager
def forged(bundle: Path) -> Iterator[dict[str, bytes]]:
    """The members of a bundle, to be changed."""
    with zipfile.ZipFile(bundle) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    yield members
    with zipfile.ZipFile(bundle, "w") as packed:
        for name, data in members.items():
            packed.writestr(name, data)


def test_everything_that_looks_at_a_run_works_on_a_foreign_one(
    store: Path,
    real: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    benchmark: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))
    here, mine = only(store), tmp_path / "mine"
    with pytest.raises(typer.Exit) as done:
        look.import_(real, mine)
    assert done.value.exit_code == 0 and archive.read(real, mine) == ([], [])
    there = only(mine)
    assert there.name == f"imported-{here.name}" and damage(there) == []
    assert result_of(there) == result_of(here) | {"id": there.name}
    assert samples_of(there) == samples_of(here) and read_scores(there) == read_scores(here)
    assert compared(str(here), str(there), mine)[0]["verdict"] == "identical"
    look.view(there.name, "2", tmp_path / "view.png", mine)
    assert (tmp_path / "view.png").stat().st_size > 10_000
    figures(there.name, "csv", mine)
    assert "pico_video" in capsys.readouterr().out
    with pytest.raises(WinnowError, match="is imported: its answers were not given here"):
        again.again([there.name], mine, "score")
    assert again.again([], mine, "score") == 0


def test_a_bundle_holds_what_a_reviewer_asks_for(real: Path, store: Path) -> None:
    with zipfile.ZipFile(real) as packed:
        names, command = set(packed.namelist()), packed.read("commands.sh").decode().splitlines()[1]
        env = json.loads(packed.read(f"runs/{only(store).name}/env.json"))
        assert b"torch==" in packed.read("versions.txt")
        assert str(store).encode() not in b"".join(map(packed.read, names))
    assert {"README.txt", "tables/runs.csv", "tables/runs.md", "tables/runs.html", "tables/runs.tex"} <= names
    assert not {"host", "log"} & set(env) and env["versions"]["torch"]
    assert cell_from([*shlex.split(command)[2:], f"results={store}"]) == stored_cell(only(store), trust=False)


def test_foreign_answers_are_never_taken_for_ones_given_here(real: Path, store: Path, tmp_path: Path) -> None:
    archive.read(real, tmp_path)
    wanted = {row.key: row.doc for row in traces.read(only(store) / "traces.parquet")}
    line = stored_config(only(store))["line"]
    assert len([*adopted(store / "other", line, wanted)]) == 4
    assert [*adopted(tmp_path / "other", line, wanted)] == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "../../out"}, "is no name of a run or a task"),
        ({"file": "../config.yaml"}, "is no file of a run"),
        ({"file": "DONE"}, "is no file of a run"),
        ({"file": "samples_other.jsonl", "data": b""}, r"its samples_other.jsonl is not what a run writes"),
        (
            {"file": "samples_pico_video.jsonl", "data": b'{"doc_id": "x"}'},
            "samples_pico_video.jsonl is not what a run",
        ),
        ({"file": "env.json", "data": b"[]"}, "its env.json is not what a run writes"),
        ({"file": "env.json", "data": b"[" * 9999}, "it is nested too deep"),
        ({"file": "scores.parquet", "data": b"PAR1"}, "scores.parquet|[Pp]arquet"),
        ({"file": "traces.parquet", "rows": [{"task": "other", "doc_id": 1}]}, "its traces.parquet is not what a run"),
        ({"file": "result.json", "data": b'{"tasks": [{"task": "../x"}]}'}, "is no name of a run or a task"),
        ({"file": "config.yaml", "data": b"", "digest": "0"}, "its config.yaml is not what bundle.json says"),
    ],
)
def test_a_forged_run_is_left_out_in_one_line(
    bundle: Path, tmp_path: Path, change: dict[str, Any], reason: str
) -> None:
    name = "abc123"
    with forged(bundle) as members:
        listing = json.loads(members["bundle.json"])
        digests = listing["runs"].pop(name)
        run, file = change.get("name", name), change.get("file")
        if "rows" in change:
            table = io.BytesIO()
            pq.write_table(pa.Table.from_pylist(change["rows"]), table)
            change = change | {"data": table.getvalue()}
        if file:
            members[f"runs/{name}/{file}"] = change.get("data", b"x")
            digests[file] = change.get("digest", sha256(change.get("data", b"x")).hexdigest())
        members["bundle.json"] = json.dumps(listing | {"runs": {run: digests}}).encode()
    new, (line,) = archive.read(bundle, tmp_path / "back")
    assert new == [] and "\n" not in line
    assert re.search(reason, line), line
    assert not (tmp_path / "back").exists() and not (tmp_path / "out").exists()


def test_a_damaged_run_is_left_out_of_a_bundle_and_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = tmp_path / "runs"
    for name in ("good1", "torn1"):
        write_run(runs, [1, 0], name)
        seal(runs / name, "", "")
    (runs / "torn1/scores.parquet").write_bytes(b"PAR1")
    assert archive.write(runs, tmp_path / "all.zip", full=True) == 1
    assert capsys.readouterr().err == "left out: run torn1: scores.parquet is damaged: run its command again\n"
    assert archive.read(tmp_path / "all.zip", tmp_path / "back") == (["imported-good1"], [])
    (runs / "good1/scores.parquet").write_bytes(b"PAR1")
    with pytest.raises(WinnowError, match=r"no runs in .* whose files are undamaged"):
        archive.write(runs, tmp_path / "none.zip", full=True)
    assert not (tmp_path / "none.zip").exists()


def test_a_run_and_one_imported_under_its_name_both_arrive_whole(tmp_path: Path) -> None:
    for name, scores in (("abc123", [1.0, 0.0]), ("imported-abc123", [0.0, 0.0])):
        write_run(tmp_path / "runs", scores, name)
        seal(tmp_path / "runs" / name, "", "")
    archive.write(tmp_path / "runs", tmp_path / "all.zip", full=True)
    new, bad = archive.read(tmp_path / "all.zip", tmp_path / "back")
    assert sorted(new) == ["imported-abc123", "imported-imported-abc123"] and not bad
    for name in ("abc123", "imported-abc123"):
        assert read_scores(tmp_path / "back" / f"imported-{name}") == read_scores(tmp_path / "runs" / name)
    assert archive.read(tmp_path / "all.zip", tmp_path / "back") == ([], [])


def test_another_run_of_an_imported_name_is_told(bundle: Path, tmp_path: Path) -> None:
    archive.read(bundle, tmp_path / "back")
    with forged(bundle) as members:
        result = json.loads(members["runs/abc123/result.json"]) | {"finished": "2001-01-01"}
        members["runs/abc123/result.json"] = json.dumps(result).encode()
        listing = json.loads(members["bundle.json"])
        listing["runs"]["abc123"]["result.json"] = sha256(members["runs/abc123/result.json"]).hexdigest()
        members["bundle.json"] = json.dumps(listing).encode()
    new, (line,) = archive.read(bundle, tmp_path / "back")
    assert new == [] and "is another run of that name" in line


def test_what_is_no_bundle_or_too_large_is_refused(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(WinnowError, match=r"all\.zip is not allowed: choose a name that ends in .*, or say --full"):
        archive.write(tmp_path, bundle)
    with pytest.raises(WinnowError, match=r"x\.csv is not allowed: choose a name that ends in \.zip"):
        archive.write(tmp_path, tmp_path / "x.csv", full=True)
    (tmp_path / "x.zip").write_bytes(b"PK")
    with pytest.raises(WinnowError, match=r"x\.zip was not written by `winnow export --full`: it cannot be read as"):
        archive.read(tmp_path / "x.zip", tmp_path)
    monkeypatch.setattr(unbundle, "MOST", 100)
    with pytest.raises(WinnowError, match=r"it has no bundle\.json"):
        archive.read(bundle, tmp_path / "back")
    monkeypatch.setattr(unbundle, "LARGEST", 100)
    with pytest.raises(WinnowError, match="bytes unpacked: at most 100 are read"):
        archive.read(bundle, tmp_path / "back")
    with forged(bundle) as members:
        members["bundle.json"] = b"[]"
    monkeypatch.undo()
    with pytest.raises(WinnowError, match="was not written by `winnow export --full` of this version"):
        archive.read(bundle, tmp_path / "back")


def test_a_rerun_says_sample_by_sample_what_differs_and_why(
    real: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, benchmark: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))
    mine, out = tmp_path / "mine", tmp_path / "again"
    archive.read(real, mine)
    capsys.readouterr()
    with pytest.raises(typer.Exit) as done:
        rerun("imported", 2, mine, out, "csv")
    assert done.value.exit_code == 0 and "all 2 samples are as they were\n" in capsys.readouterr().out
    monkeypatch.setattr(repeating, "run", lambda cells: None)  # what is there already is looked at again
    samples = next(mine.glob("*/samples_*.jsonl"))
    first, *rest = map(json.loads, samples.read_text().splitlines())
    samples.write_text("".join(json.dumps(row) + "\n" for row in [first | {"answer": "a horse\x1b["}, *rest]))
    with pytest.raises(typer.Exit) as done:
        rerun("imported", 2, mine, out, "rich")
    said = capsys.readouterr().out
    assert done.value.exit_code == 1 and "pico_video/0" in said and "a horse\\x1b[" in said
    assert "1 of 2 samples differ, and nothing that is recorded explains it" in said
    config = next(mine.glob("*/config.yaml"))
    config.write_text(config.read_text().replace("torch: ", "torch: 0."))
    with pytest.raises(typer.Exit):
        rerun("imported", 2, mine, out, "csv")
    said = capsys.readouterr().out
    assert "1 of 2 samples differ; what else differs, and may explain it:\n  versions.torch: 0." in said


def test_a_rerun_needs_answers_and_no_other_run(real: Path, tmp_path: Path) -> None:
    archive.read(real, tmp_path)
    folder = only(tmp_path)
    for path in folder.glob("samples_*"):
        path.unlink()
    with pytest.raises(WinnowError, match="has no samples: `winnow export --full` bundles them"):
        repeating.rerun(folder.name, 1, tmp_path, tmp_path / "again")
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["cell"]["method"] |= {"target": "winnow.reducers.replay:Replay", "args": {"like": "abc"}}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(WinnowError, match="follows another run, abc: repeat that one first"):
        repeating.rerun(folder.name, 1, tmp_path, tmp_path / "again")

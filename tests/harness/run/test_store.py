"""What closing a run leaves in its folder, and what opening it anew forgets."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from winnow.harness.common import files
from winnow.harness.common.finished import finished
from winnow.harness.plan.identity import Identity
from winnow.harness.run.record import Row
from winnow.harness.run.store import Run, forget, mark_failed, part_mark


@pytest.fixture
def run(tmp_path: Path) -> Run:
    cell: Any = SimpleNamespace(results=tmp_path)
    made = Run(cell, Identity("run", "context", "line", "settings", "score", "report", {}))
    made.folder.mkdir()
    files.write_json(made.folder / "env.json", {"host": "here"})
    files.write_json(made.folder / "result.json", {"id": "run"})
    return made


def rows(*seconds: float) -> list[Row]:
    return [Row("t", i, "print", "red", seconds=spent) for i, spent in enumerate(seconds)]


def test_a_run_that_is_finished_is_no_failed_one_any_more(run: Run) -> None:
    run.fail("broken")
    run.journal().append(rows(1.0))
    part_mark(run.folder, 0, 2).touch()
    run.finish(rows(1.0, 0.5))
    assert sorted(path.name for path in run.folder.iterdir()) == ["DONE", "env.json", "result.json"]
    assert run.done and finished(run.folder)
    assert files.read_json(run.folder / "env.json") == {"host": "here", "answering": {"documents": 2, "seconds": 1.5}}


def test_done_holds_the_digests_of_all_that_was_written(run: Run) -> None:
    (run.folder / "scores.parquet").write_bytes(b"scores")
    (run.folder / "failures.log").write_text("why")
    run.finish(rows(1.0))
    assert set(json.loads((run.folder / "DONE").read_text())["files"]) == {"env.json", "result.json", "scores.parquet"}


@pytest.mark.parametrize("layer", ["score", "report"])
def test_a_run_of_other_scoring_or_reporting_is_not_done(run: Run, layer: str) -> None:
    run.finish(rows(1.0))
    other = Identity(**vars(run.identity) | {layer: "other"})
    assert run.done and not Run(run.cell, other).done and finished(run.folder)


def test_forgetting_keeps_answers_and_resetting_does_not(run: Run) -> None:
    run.finish(rows(1.0))
    run.journal().append(rows(1.0))
    mark_failed(run.folder, "broken")
    forget(run.folder)
    names = {path.name for path in run.folder.iterdir()}
    assert names == {"env.json", "result.json", "journal"} and len(run.rows()) == 1
    run.reset()
    assert {path.name for path in run.folder.iterdir()} == {"env.json"} and run.rows() == {}

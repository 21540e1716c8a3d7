"""Runs that were interrupted, broke or met a rival: what is kept, what is done again, and what is said."""

import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from runs import FASTV, Run, counted, only, result_of, samples_of

from winnow.harness.data import media
from winnow.harness.run import answer, journal
from winnow.harness.run import cell_run as work
from winnow.harness.run.record import Row, from_line

ROOT = Path(__file__).resolve().parents[3]


def test_finished_cell_is_printed_without_heavy_imports(run: Run, results: Path, benchmark: Path) -> None:
    before = run(*FASTV)
    program = (
        "import sys; from winnow.harness.cli.run import main; code = main();"
        "heavy = {'torch._C', 'transformers', 'lmms_eval', 'pandas', 'scipy'} & set(sys.modules);"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    command = [sys.executable, "-c", program, *FASTV, "limit=8", "batch_size=4", f"results={results}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "· stored" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[1:] == before.out.splitlines()[1:]


def test_interrupted_run_goes_on_where_it_stopped(
    run: Run, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(*FASTV, f"results={tmp_path / 'whole'}")
    original = answer.answer

    def interrupted(*args: Any) -> list[Row]:
        if calls:
            raise KeyboardInterrupt
        calls.append(args)
        return original(*args)

    calls: list[Any] = []
    monkeypatch.setattr(answer, "answer", interrupted)
    ran = run(*FASTV)
    assert ran.code == 130 and "run the same command again" in ran.err
    folder = only(results)
    assert len(journal.read(folder / "journal")) == 4
    assert not list(folder.glob("claim.*")) and not (folder / "DONE").exists()
    monkeypatch.setattr(answer, "answer", original)
    calls = counted(monkeypatch, answer, "answer")
    assert run(*FASTV).code == 0
    assert [len(args[2].documents) for args in calls] == [4]
    assert samples_of(folder) == samples_of(only(tmp_path / "whole"))


def test_batches_stay_the_same_when_half_of_one_is_left(
    run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = work.CellRun.keep

    def torn(self: work.CellRun, rows: Iterable[Row], wanted: set[tuple[str, int]]) -> int:
        if not (made := list(rows)):
            return 0
        self.journal.append(made[:2])
        with self.journal.path.open("a") as file:
            file.write('{"task": "pico_vi')
        raise KeyboardInterrupt

    monkeypatch.setattr(work.CellRun, "keep", torn)
    assert run(*FASTV).code == 130
    monkeypatch.setattr(work.CellRun, "keep", original)
    kept: list[Row] = []

    def append(self: journal.Journal, rows: Iterable[Row], append: Any = journal.Journal.append) -> list[Row]:
        made: list[Row] = append(self, rows)
        kept.extend(made)
        return made

    monkeypatch.setattr(journal.Journal, "append", append)
    calls = counted(monkeypatch, answer, "answer")
    assert run(*FASTV).code == 0
    assert [len(args[2].documents) for args in calls] == [4, 4]
    assert [row.doc_id for row in kept] == [2, 3, 4, 5, 6, 7]


def test_answers_to_another_document_do_not_count(run: Run, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(*FASTV).code == 0
    folder = only(results)
    (folder / "DONE").unlink()
    stale = Row("pico_video", 3, "another fingerprint", "red")
    journal.Journal(folder / "journal").append([stale])
    calls = counted(monkeypatch, answer, "answer")
    assert run(*FASTV).code == 0
    assert len(calls) == 2


def test_force_computes_again(run: Run, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*FASTV)
    calls = counted(monkeypatch, answer, "answer")
    run(*FASTV)
    assert not calls
    assert run(*FASTV, "force=true").code == 0
    assert len(calls) == 2
    assert (only(results) / "DONE").exists()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda path: path.unlink(), "does not exist: download"),
        (lambda path: path.write_bytes(b""), "is empty (0 bytes)"),
        (lambda path: path.write_bytes(path.read_bytes()[:400]), "cannot be decoded"),
        (lambda path: path.write_bytes(b"no video at all" * 99), "cannot be decoded"),
    ],
    ids=["missing", "zero bytes", "truncated", "no video"],
)
def test_broken_video_is_a_failed_sample(
    run: Run, results: Path, benchmark: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Any, reason: str
) -> None:
    media.forget()
    shutil.copytree(benchmark, tmp_path / "cache")
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    (video,) = (tmp_path / "cache").rglob("video/test/0005.mp4")
    whole = video.read_bytes()
    damage(video)
    ran = run(*FASTV)
    assert ran.code == 1
    assert "is incomplete: 1 of 8 documents failed" in ran.err and reason in ran.err
    assert "[document 5 of " in ran.err and f"{video.name}]" in ran.err
    assert "incomplete: 1 failed" in ran.out
    folder = only(results)
    assert not (folder / "DONE").exists() and (folder / "failures.log").exists()
    result = result_of(folder)
    assert result["status"] == "incomplete" and result["tasks"][0]["documents"] == 8
    failed = samples_of(folder)[5]
    assert failed["status"] == "failed" and failed["scores"]["pico_accuracy"] == 0
    video.write_bytes(whole)
    calls = counted(monkeypatch, answer, "answer")
    again = run(*FASTV)
    assert again.code == 0 and "7 answers of earlier runs hold for it" in again.err
    assert [[d.doc_id for d in args[2].documents] for args in calls] == [[4, 5, 6, 7]]
    (whole_run,) = (path.parent for path in results.glob("*/DONE"))
    assert result_of(whole_run)["status"] == "complete" and whole_run != folder


def test_batch_out_of_memory_is_halved_down_to_the_document(
    run: Run, results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, sizes = answer.answer, []

    def small_machine(loaded: Any, reducer: Any, batch: Any, seed: int) -> list[Row]:
        sizes.append(len(batch.documents))
        if len(batch.documents) > 2 or any(document.doc_id == 2 for document in batch.documents):
            raise MemoryError("out of memory")
        return original(loaded, reducer, batch, seed)

    monkeypatch.setattr(answer, "answer", small_machine)
    ran = run(*FASTV)
    assert ran.code == 1 and "1 of 8 documents failed (1 x MemoryError: out of memory)" in ran.err
    assert [sample["doc_id"] for sample in samples_of(only(results)) if sample["status"] == "failed"] == [2]
    assert sizes == [4, 2, 2, 1, 1, 4, 2, 2]


def test_cell_of_another_process_is_left_to_it(run: Run, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*FASTV)
    folder = only(results)
    (folder / "DONE").unlink()
    from winnow.harness.run.claim import Claim

    with Claim(folder) as other:
        assert other.held
        ran = run("-m", "reducer=none,fastv", "ratio=0.25", "schedule=pico_k,none")
        assert ran.code == 2  # fastv takes no schedule of kind none
        ran = run("-m", "reducer=none,fastv", "ratio=0.25", "schedule=pico")
    assert ran.code == 3
    assert f"run {folder.name} is being worked on by process" in ran.err
    assert len(list(results.glob("*/DONE"))) == 1


def test_journal_rows_are_what_the_design_names(run: Run, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("winnow.harness.run.store.Run.finish", lambda self, rows: None)
    run(*FASTV)
    lines = [line for path in (only(results) / "journal").glob("*.jsonl") for line in path.read_bytes().split(b"\n")]
    row = from_line(lines[0].partition(b" ")[2])
    assert (row.task, row.doc_id, row.status, row.reason, row.batch) == ("pico_video", 0, "ok", "", 4)
    assert len(row.tokens_per_layer) == 8 and row.seconds > 0

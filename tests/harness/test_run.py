"""Whole runs of pico on its real videos: what they leave behind, share, survive and refuse."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from harness import answer, group, journal, media
from harness.record import Row, from_line

ROOT = Path(__file__).resolve().parents[2]
FASTV = ("reducer=fastv", "ratio=0.25", "schedule=pico_k", "schedule.k=5")
Run = Callable[..., Any]


def only(results: Path) -> Path:
    """The one run of a results folder."""
    (folder,) = (path.parent for path in results.glob("*/env.json"))
    return folder


def result_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return found


def samples_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for path in sorted(folder.glob("samples_*")) for line in path.read_text().splitlines()]


def counted(monkeypatch: pytest.MonkeyPatch, module: Any, name: str) -> list[Any]:
    """Count the calls of a function."""
    calls: list[Any] = []
    original = getattr(module, name)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, wrapper)
    return calls


def test_cell_leaves_a_complete_folder(
    run: Run, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(*FASTV)
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith("pico · fastv ratio=0.25 select=highest positions=keep rows=last at k=5")
    folder = only(results)
    files = {path.name for path in folder.iterdir()}
    assert files == {
        "DONE", "config.yaml", "env.json", "result.json", "samples_pico_video.jsonl", "scores.parquet", "traces.parquet"
    }  # fmt: skip
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
    result = result_of(folder)
    assert result["shares"] == {"entrance": 1.0, "mean": pytest.approx(5 / 8 + 3 / 8 / 4), "last": 0.25}
    (task,) = result["tasks"]
    assert task["lmms_eval"] * 100 == pytest.approx(task["mean"])
    assert task["low"] <= task["mean"] <= task["high"] and task["documents"] == 8
    assert not [key for key in result if "second" in key or "time" in key]
    assert "wall clock" not in ran.out


def test_traces_tell_the_fate_of_every_visual_token(run: Run, results: Path) -> None:
    run(*FASTV)
    (first, *_), count = pq.read_table(only(results) / "traces.parquet").to_pylist(), 200
    assert first["visual"] == count == len(first["last_layer"]) == len(first["anchor"])
    assert first["visual_per_layer"] == [count] * 5 + [count // 4] * 3
    assert sorted(set(first["last_layer"])) == [4, 7] and first["last_layer"].count(7) == count // 4
    assert first["anchor"] == list(range(count))


def test_sweep_shares_model_and_documents(run: Run, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads, decodes = counted(monkeypatch, group, "load"), counted(monkeypatch, answer, "make_prompt")
    ran = run("-m", "reducer=none,fastv,random", "ratio=0.5,0.25", "schedule=pico")
    assert ran.code == 0
    assert (len(loads), len(decodes)) == (1, 8)
    assert len(list(results.glob("*/DONE"))) == 5
    assert "5 cells (0 stored before) in " in ran.out
    found = [result_of(path.parent) for path in results.glob("*/DONE")]
    assert sorted(r["reducer"] for r in found) == ["fastv", "fastv", "none", "random", "random"]
    assert all(("drop" in r) == (r["reducer"] != "none") for r in found)


def test_a_cell_answers_the_same_alone_and_in_a_sweep(run: Run, results: Path, tmp_path: Path) -> None:
    run("-m", "reducer=none,fastv,vas", "ratio=0.25", "schedule=pico")
    for path in list(results.glob("*/DONE")):
        reducer = result_of(path.parent)["reducer"]
        alone = tmp_path / "alone"
        run(f"reducer={reducer}", "ratio=0.25", "schedule=pico", f"results={alone}")
        assert samples_of(alone / path.parent.name) == samples_of(path.parent)


def test_finished_cell_is_printed_without_heavy_imports(run: Run, results: Path, benchmark: Path) -> None:
    before = run(*FASTV)
    program = (
        "import sys; from harness.app import main; code = main();"
        "heavy = {'torch', 'transformers', 'lmms_eval', 'pandas', 'scipy'} & set(sys.modules);"
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
    original = answer.Work.keep

    def torn(self: answer.Work, rows: list[Row], wanted: set[tuple[str, int]]) -> int:
        self.journal.append(rows[:2])
        with self.journal.path.open("a") as file:
            file.write('{"task": "pico_vi')
        raise KeyboardInterrupt

    monkeypatch.setattr(answer.Work, "keep", torn)
    assert run(*FASTV).code == 130
    monkeypatch.setattr(answer.Work, "keep", original)
    kept: list[Row] = []
    monkeypatch.setattr(journal.Journal, "append", lambda self, rows: kept.extend(rows))
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
    media._decode.cache_clear()
    shutil.copytree(benchmark, tmp_path / "cache")
    monkeypatch.setenv("WINNOW_CACHE", str(tmp_path / "cache"))
    (video,) = (tmp_path / "cache").rglob("video/test/0005.mp4")
    whole = video.read_bytes()
    damage(video)
    ran = run(*FASTV)
    assert ran.code == 1
    assert "is incomplete: 1 of 8 documents failed" in ran.err and reason in ran.err and str(video) in ran.err
    assert "incomplete: 1 failed" in ran.out
    folder = only(results)
    assert not (folder / "DONE").exists() and (folder / "failures.log").exists()
    result = result_of(folder)
    assert result["status"] == "incomplete" and result["tasks"][0]["documents"] == 8
    failed = samples_of(folder)[5]
    assert failed["status"] == "failed" and failed["scores"]["pico_accuracy"] == 0
    video.write_bytes(whole)
    calls = counted(monkeypatch, answer, "answer")
    assert run(*FASTV).code == 0
    assert [[d.doc_id for d in args[2].documents] for args in calls] == [[4, 5, 6, 7]]
    assert result_of(folder)["status"] == "complete" and (folder / "DONE").exists()


def test_batch_out_of_memory_is_answered_one_by_one(run: Run, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = answer.answer

    def small_machine(loaded: Any, reducer: Any, batch: Any, seed: int) -> list[Row]:
        if len(batch.documents) > 1 or batch.documents[0].doc_id == 2:
            raise MemoryError("out of memory")
        return original(loaded, reducer, batch, seed)

    monkeypatch.setattr(answer, "answer", small_machine)
    ran = run(*FASTV)
    assert ran.code == 1 and "1 of 8 documents failed (1 x MemoryError: out of memory)" in ran.err
    assert [sample["doc_id"] for sample in samples_of(only(results)) if sample["status"] == "failed"] == [2]


CUSTOM = '''
from dataclasses import dataclass
from reducers import Reducer, Reduction

@dataclass(frozen=True)
class Last(Reducer):
    """Keep the last `count` visual tokens."""

    kept: int = 4
    broken: bool = False

    def layers(self, depth):
        return (0,)

    def count(self, original, present, layer, depth):
        return min(present, self.kept)

    def reduce(self, view):
        if self.broken:
            raise RuntimeError("this method is broken")
        return Reduction(view.visual[-self.kept:])
'''


def test_method_of_ones_own(run: Run, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(CUSTOM)
    monkeypatch.syspath_prepend(tmp_path)
    ran = run("reducer=custom", "reducer.target=mine:Last", "reducer.args.kept=10")
    assert ran.code == 0 and ran.out.startswith("pico · custom kept=10 broken=False")
    assert result_of(only(results))["shares"]["entrance"] == pytest.approx(10 / 200)
    ran = run("reducer=custom", "reducer.target=mine:Last", "reducer.args.broken=true")
    assert ran.code == 1 and "8 of 8 documents failed (8 x RuntimeError: this method is broken)" in ran.err


def test_budget_is_met(run: Run, results: Path) -> None:
    ran = run("reducer=fastv", "budget.mean=0.75", "schedule=pico")
    assert ran.code == 0 and "for mean 0.75 (planned 0.75" in ran.out
    result = result_of(only(results))
    assert result["shares"]["mean"] == pytest.approx(0.75, abs=0.02)
    assert result["budget"]["achieved"] == pytest.approx(result["shares"]["mean"])


def test_flops_budget_of_an_adaptive_method_shows_what_was_achieved(run: Run, results: Path) -> None:
    assert run("reducer=vas", "budget.flops=0.7", "schedule=pico").code == 0
    result = result_of(only(results))
    assert result["budget"]["planned"] == pytest.approx(0.7, abs=0.02)
    assert result["budget"]["achieved"] == pytest.approx(result["cost"]["flops_share"], abs=0.02)
    assert result["asked"] == "flops 0.7"


def test_oracle_beats_its_opposite(run: Run, results: Path) -> None:
    run("-m", "reducer=oracle", "reducer.select=highest,lowest", "ratio=0.1", "limit=30", "batch_size=16")
    found = {r["label"]: r["tasks"][0]["mean"] for r in (result_of(path.parent) for path in results.glob("*/DONE"))}
    assert found["oracle"] > found["oracle select=lowest"] + 30


def test_images_and_videos_in_one_set(run: Run, results: Path) -> None:
    assert run(*FASTV, "tasks=pico").code == 0
    result = result_of(only(results))
    assert [task["task"] for task in result["tasks"]] == ["pico_video", "pico_image"]
    assert result["documents"] == 16


def test_random_weights_of_another_family(run: Run, results: Path) -> None:
    """LLaVA-OneVision at test size goes through the same code."""
    tiny = ("model=llava_ov", "model.weights=random", "model.scale=tiny", "model.frames=2", "model.dtype=float32")
    assert run(*tiny, "reducer=fastv", "ratio=0.5", "limit=2").code == 0
    assert result_of(only(results))["cost"]["flops_share"] < 1


def test_cell_of_another_process_is_left_to_it(run: Run, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*FASTV)
    folder = only(results)
    (folder / "DONE").unlink()
    from harness.claim import Claim

    with Claim(folder) as other:
        assert other.held
        ran = run("-m", "reducer=none,fastv", "ratio=0.25", "schedule=pico_k,none")
        assert ran.code == 2  # fastv takes no schedule of kind none
        ran = run("-m", "reducer=none,fastv", "ratio=0.25", "schedule=pico")
    assert ran.code == 3
    assert f"run {folder.name} is being worked on by process" in ran.err
    assert len(list(results.glob("*/DONE"))) == 1


def test_remote_launcher_runs_its_cell_in_place(monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from harness import app

    class Job:
        mode = RunMode.MULTIRUN
        launcher = OmegaConf.create({"_target_": "hydra_plugins.submitit.SlurmLauncher"})
        runtime = OmegaConf.create({"choices": {"reducer": "none"}})

    ran: list[Any] = []
    monkeypatch.setattr(app.HydraConfig, "get", lambda: Job)
    monkeypatch.setattr(app, "compose", lambda config, reducer: reducer)
    monkeypatch.setattr(app, "_run", lambda cells: ran.append(cells) or len(ran) - 1)
    app.job(OmegaConf.create())
    with pytest.raises(app.RunFailedError) as error:
        app.job(OmegaConf.create())
    assert error.value.code == 1 and ran == [["none"], ["none"]]


def test_journal_rows_are_what_the_design_names(run: Run, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.store.Run.finish", lambda self: None)
    run(*FASTV)
    lines = [line for path in (only(results) / "journal").glob("*.jsonl") for line in path.read_text().splitlines()]
    row = from_line(lines[0])
    assert (row.task, row.doc_id, row.status, row.reason, row.batch) == ("pico_video", 0, "ok", "", 4)
    assert len(row.tokens_per_layer) == 8 and row.seconds > 0

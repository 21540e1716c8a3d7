"""Sweeps: from a plan to finished cells, and what happens to cells that cannot be run."""

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cells import by_hydra
from runs import counted, result_of, samples_of
from typer.testing import CliRunner

from winnow.harness.common.exits import BUSY, INCOMPLETE, OK
from winnow.harness.config.expand import expand
from winnow.harness.plan.identity import identify, identify_all
from winnow.harness.run import answer
from winnow.harness.run import loaded as kept
from winnow.harness.run.claim import Claim
from winnow.harness.run.journal import signed
from winnow.harness.run.stop import Stop, StoppedError
from winnow.harness.sweep import cell_queue as share
from winnow.harness.sweep import group, local, manifest, worker
from winnow.harness.sweep.cell_queue import CellQueue
from winnow.harness.sweep.cells import cells_of
from winnow.harness.sweep.estimate import basis
from winnow.harness.sweep.manifest import Manifest
from winnow.harness.sweep.plan import plan
from winnow.harness.sweep.state import Watch, counts
from winnow.harness.sweep.worker import Worker
from winnow.reducers.core.errors import WinnowError

SMALL = ("limit=8", "batch_size=4", "schedule=pico")
Make = Callable[..., Manifest]


@pytest.fixture
def sweep(results: Path, benchmark: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Plan a sweep of small cells."""
    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))

    def make(*overrides: str) -> Manifest:
        planned = plan([*SMALL, *overrides, f"results={results}"])
        planned.save()
        return planned

    return make


def work(planned: Manifest, index: int = 0, workers: int = 1, stop: Stop | None = None, parts: int = 1) -> int:
    return Worker(CellQueue(planned, index, workers, parts), stop or Stop()).run()


def winnow(*words: object) -> Any:
    from winnow.harness.cli.main import app

    return CliRunner().invoke(app, list(map(str, words)))


def kinds(planned: Manifest) -> dict[str, int]:
    return {kind: count for kind, count in counts(Watch(planned).look()).items() if count}


def test_manifest_gives_back_the_cells(sweep: Make) -> None:
    planned = sweep("reducer=none,fastv,pdrop,compose", "downsample.frames=1,2")
    read = manifest.load(planned.path.parent)
    assert read == planned
    assert all(identify(cell.cell).run == cell.id for cell in read.cells())
    text = planned.path.read_text()
    assert text.count('"arch"') == len(planned.groups) == 2  # what a group shares is written once


@pytest.mark.parametrize(
    ("fixed", "swept"),
    [
        ((), {"reducer": ("random", "fastv", "pdrop"), "ratio": (0.5, 0.25), "tasks": ("pico_video", "gqa")}),
        (("model.frames=4", "reducer=fastv"), {"schedule": ("k", "pico"), "reducer.rows": ("last", "text")}),
        (("reducer=fastv", "schedule.k=1"), {"schedule": ("k",), "model": ("pico", "llava15"), "seed": (0, 1)}),
        (
            ("reducer=custom", "reducer.target=winnow.reducers.fastv:FastV", "schedule=k"),
            {"+reducer.args.R": (0.5, 0.9)},
        ),
        (("downsample.frames=2", "reducer=vas"), {"budget.mean": (0.5, 0.4), "batch_size": (4, 8)}),
        (("~model.arch.tied", "+model.arch.tied=false"), {"reducer": ("grid",), "limit": (2, 4)}),
    ],
)
def test_sweep_composes_each_cell_as_if_it_stood_alone(fixed: Sequence[str], swept: dict[str, Sequence[Any]]) -> None:
    """The same cells, and so the same ids, although what cells share is composed once."""
    lists = [f"{key}={','.join(map(str, values))}" for key, values in swept.items()]
    jobs = [[f"{key}={value}" for key, value in zip(swept, job, strict=True)] for job in product(*swept.values())]
    together = cells_of(expand([*fixed, "tasks.data=fixtures", *lists]))
    alone = [by_hydra(*fixed, "tasks.data=fixtures", *job) for job in jobs]
    assert together == alone
    assert identify_all(together) == [identify(one) for one in alone]


def test_plan_groups_cells_by_model_and_documents(sweep: Make, results: Path) -> None:
    planned = sweep("reducer=fastv", "ratio=0.5,0.25", "tasks=pico_video,pico_image")
    assert [len(group) for group in planned.groups] == [2, 2]
    assert all(len({cell.cell.tasks.name for cell in group}) == 1 for group in planned.groups)
    assert not list(results.glob("*/config.yaml"))


def test_plan_drops_what_is_finished_and_learns_from_it(sweep: Make) -> None:
    before = sweep("reducer=none,fastv", "ratio=0.5")
    assert "assumed" in before.basis
    assert work(before) == OK
    planned = sweep("reducer=none,fastv", "ratio=0.5,0.25")
    assert [cell.label for cell in planned.cells()] == ["fastv 0.25"]
    assert set(planned.stored) == {cell.id for cell in before.cells()}
    assert planned.basis == "1 cell from runs of the same model and the planned FLOPs"
    (cell,) = planned.cells()
    assert cell.documents == 8 and cell.seconds is not None and cell.seconds > 0


def test_the_basis_of_a_plan_is_a_sentence() -> None:
    assert (
        basis(["unknown", "unknown", "x"]) == "2 cells without a time, as no run counted the documents; 1 cell from x"
    )


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["reducer=fastv", "force=true"], "force=true is not for a plan"),
        (["reducer=fastw"], "unknown reducer 'fastw'"),
        (["reducer=fastv", "ratio=2"], "ratio=2 is not allowed"),
        (["reducer=fastv", "schedule=k", "schedule.k=99"], "99"),
    ],
)
def test_mistakes_in_a_plan_are_one_line(sweep: Make, overrides: list[str], message: str) -> None:
    with pytest.raises(WinnowError, match=message):
        sweep(*overrides)


def test_dry_run_prints_and_writes_nothing(sweep: Make, results: Path) -> None:
    done = winnow("plan", "reducer=none,fastv", "ratio=0.25", *SMALL, f"results={results}", "--dry-run")
    assert done.exit_code == 0, done.output
    assert "group 1: pico on pico_video, limit=8: 2 cells" in done.output and "fastv 0.25" in done.output
    assert "TFLOPs one by one" in done.output and "  `- layers 5-7: 70 tokens, fastv 0.25" in done.output
    assert not list(results.glob("sweeps/*"))


def test_manifest_of_another_version_is_refused(sweep: Make) -> None:
    planned = sweep("reducer=none")
    planned.path.write_text(planned.path.read_text().replace('"format": 1', '"format": 0'))
    with pytest.raises(WinnowError, match="no manifest of this version"):
        manifest.load(planned.path)
    with pytest.raises(WinnowError, match="there is no manifest"):
        manifest.load(planned.path.with_name("none.json"))


def test_worker_runs_all_and_loads_each_model_once(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    loads = counted(monkeypatch, kept, "load")
    monkeypatch.setattr(share, "LARGEST", 2)
    planned = sweep("reducer=none,fastv,random", "ratio=0.5,0.25")
    assert work(planned) == OK and len(loads) == 1
    assert kinds(planned) == {"finished": 5}
    assert not list(planned.results.glob("*/claim.*"))
    again = counted(monkeypatch, answer, "answer")
    assert work(planned) == OK and not again


def test_worker_answers_as_run_py_does(sweep: Make, run: Any, tmp_path: Path) -> None:
    planned = sweep("reducer=none,fastv", "ratio=0.25")
    assert work(planned) == OK
    other = tmp_path / "other"
    assert run("-m", "reducer=none,fastv", "ratio=0.25", "schedule=pico", f"results={other}").code == 0
    for cell in planned.cells():
        assert samples_of(planned.results / cell.id) == samples_of(other / cell.id)


def test_cell_that_cannot_be_run_does_not_stop_the_others(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = sweep("reducer=none,fastv,random", "ratio=0.5")
    real = worker.build_method
    broken: Any = lambda cell: 1 / 0 if cell.method.name == "fastv" else real(cell)  # noqa: E731
    with monkeypatch.context() as patch:
        patch.setattr(worker, "build_method", broken)
        assert work(planned) == INCOMPLETE
    assert kinds(planned) == {"finished": 2, "failed": 1}
    shown = winnow("status", planned.path)
    assert shown.exit_code == INCOMPLETE and "fastv 0.5: ZeroDivisionError: division by zero" in shown.output
    assert work(planned) == INCOMPLETE  # failed cells wait to be retried
    assert "1 cell will be run again" in winnow("retry", planned.path, "--failed").output
    assert work(planned) == OK and kinds(planned) == {"finished": 3}


def test_failure_of_a_whole_group_marks_only_who_is_to_blame(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = sweep("reducer=none,fastv,random", "ratio=0.5")
    real = group.finish

    def broken(work: Any, *args: Any) -> Any:
        if work.run.cell.method.name == "none":
            raise RuntimeError("this cell cannot be closed")
        return real(work, *args)

    monkeypatch.setattr(group, "finish", broken)
    assert work(planned) == INCOMPLETE
    (failed,) = [state for state in Watch(planned).look() if state.kind == "failed"]
    assert (failed.planned.label, failed.reason) == ("none", "RuntimeError: this cell cannot be closed")
    assert "Traceback" in winnow("logs", failed.planned.id, "--results", planned.results).output


def test_model_that_cannot_be_loaded_fails_its_own_cells_only(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = sweep("reducer=none,fastv", "ratio=0.5", "model=pico", "model.dtype=float32,bfloat16")
    assert [len(group) for group in planned.groups] == [2, 2]
    real = kept.load

    def load(spec: Any) -> Any:
        if spec.dtype == "bfloat16":
            raise WinnowError("no such weights")
        return real(spec)

    monkeypatch.setattr(kept, "load", load)
    assert work(planned) == INCOMPLETE
    assert kinds(planned) == {"finished": 2, "failed": 2}


@pytest.mark.parametrize("mark", ["id", "score", "report"])
def test_a_worker_of_other_code_leaves_the_cell_to_others(
    sweep: Make, capsys: pytest.CaptureFixture[str], mark: str
) -> None:
    planned = sweep("reducer=none,fastv", "ratio=0.5")
    (group,) = planned.groups
    edited = replace(planned, groups=[[replace(group[0], **{mark: "0123456789ab"}), group[1]]])
    assert work(edited) == INCOMPLETE
    assert kinds(edited) == {"pending": 1, "finished": 1}
    assert "is left to others: code, versions or data here are not those of the plan" in capsys.readouterr().err
    assert work(planned) == OK


def test_cell_of_another_worker_is_left_to_it(sweep: Make) -> None:
    planned = sweep("reducer=none,fastv", "ratio=0.5")
    first, _ = planned.cells()
    with Claim(planned.results / first.id):
        assert work(planned) == BUSY
        assert kinds(planned) == {"running": 1, "finished": 1}
    assert work(planned) == OK


def test_worker_stops_after_its_batch_and_another_goes_on(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = sweep("reducer=none,fastv", "ratio=0.5")
    stop = Stop()
    real = answer.answer

    def and_stop(*args: Any) -> Any:
        stop.signal = signal.SIGUSR2
        return real(*args)

    monkeypatch.setattr(answer, "answer", and_stop)
    with pytest.raises(StoppedError, match="SIGUSR2 was received"):
        work(planned, stop=stop)
    states = Watch(planned).look()
    assert [state.kind for state in states] == ["pending", "pending"]
    assert sorted(state.answered for state in states) == [0, 4]
    monkeypatch.setattr(answer, "answer", real)
    calls = counted(monkeypatch, answer, "answer")
    assert work(planned) == OK and len(calls) == 3


def test_cancelled_sweep_stops_its_workers(sweep: Make) -> None:
    planned = sweep("reducer=none")
    assert winnow("cancel", planned.path).exit_code == 0
    with pytest.raises(StoppedError, match="the sweep was cancelled"):
        work(planned, stop=Stop(planned.cancelled))


def test_worker_that_stood_still_leaves_the_cell_to_the_other(sweep: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its claim is taken over in the middle of a batch, and the run is finished, before it wakes up."""
    from winnow.harness.run import claim

    planned = sweep("reducer=fastv", "ratio=0.5")
    (cell,) = planned.cells()
    folder = planned.results / cell.id
    real, slept = answer.answer, []

    def sleepy(*args: Any) -> Any:
        rows = real(*args)
        if not slept:
            slept.append(True)
            with monkeypatch.context() as elsewhere:
                elsewhere.setattr(claim, "_host", lambda: "elsewhere")
                elsewhere.setattr(claim, "STALE", 0.0)
                assert work(planned) == OK
            kept = {path.name: path.read_bytes() for path in folder.iterdir()}
            slept.append(kept)
        return rows

    monkeypatch.setattr(answer, "answer", sleepy)
    assert work(planned) == OK
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == slept[1]


def test_parts_of_a_cell_make_the_same_run(sweep: Make, run: Any, tmp_path: Path) -> None:
    """Two workers take turns at three parts of the documents; the second takes over where the first stopped."""
    planned = sweep("reducer=none,fastv", "ratio=0.25", "batch_size=2")
    first = Worker(CellQueue(planned, 0, 2, 3), Stop())
    (cells,) = planned.groups
    assert first.some(cells)
    assert sorted(state.answered for state in Watch(planned).look()) == [0, 4]
    assert work(planned, 1, 2, parts=3) == OK
    other = tmp_path / "other"
    assert run("-m", "reducer=none,fastv", "ratio=0.25", "schedule=pico", "batch_size=2", f"results={other}").code == 0
    for cell in planned.cells():
        assert samples_of(planned.results / cell.id) == samples_of(other / cell.id)
        assert not list((planned.results / cell.id).glob("claim*"))


def test_damaged_result_is_found_named_and_computed_again(
    sweep: Make, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = sweep("reducer=none,fastv", "ratio=0.25")
    assert work(planned) == OK
    first, second = (planned.results / cell.id for cell in planned.cells())
    good = result_of(first)
    (first / "result.json").write_text("{")
    samples = second / "samples_pico_video.jsonl"
    whole = samples.read_text()
    samples.write_text(whole[:-2])
    done = winnow("retry", planned.path, "--damaged")
    assert f"{first.name}  none: result.json damaged" in done.output
    assert f"{second.name}  fastv 0.25: {samples.name} damaged" in done.output
    assert work(planned) == OK
    assert result_of(first)["tasks"] == good["tasks"] and samples.read_text() == whole
    (first / "result.json").write_text("{")
    ran = run("reducer=none")
    assert ran.code == 0 and f"run {first.name}: result.json is damaged: computed again" in ran.err


def test_journal_of_another_version_is_named_and_left_as_it_is(sweep: Make, capsys: pytest.CaptureFixture[str]) -> None:
    planned = sweep("reducer=none,fastv", "ratio=0.25")
    first, _ = planned.cells()
    segment = planned.results / first.id / "journal" / "00001-a.jsonl"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(signed(b'{"task": "pico_video", "doc_id": 0, "doc": "x", "unheard": 0.5}') + b"\n")
    assert work(planned) == INCOMPLETE
    assert f"run {first.id} failed: another version of Winnow wrote its rows, with unheard" in capsys.readouterr().err
    assert kinds(planned) == {"failed": 1, "finished": 1}


RAISES = '''
from dataclasses import dataclass
from winnow import Reducer, Reduction, Site

@dataclass(frozen=True)
class Raises(Reducer):
    """Keep all, or raise."""

    adaptive = True
    broken: bool = False

    def sites(self, depth, tower=None):
        return (Site.entrance(depth),)

    def reduce(self, view):
        if self.broken:
            raise RuntimeError("this method is broken")
        return Reduction(view.visual)
'''


def test_reducer_that_raises_stops_no_other(sweep: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raising.py").write_text(RAISES)
    monkeypatch.syspath_prepend(tmp_path)
    planned = sweep(
        "reducer=custom", "reducer.target=raising:Raises", "schedule=none", "+reducer.args.broken=false,true"
    )
    assert work(planned) == INCOMPLETE
    (failed,) = [state for state in Watch(planned).look() if state.kind == "failed"]
    assert failed.reason == "8 of 8 documents failed (8 x RuntimeError: this method is broken)"
    assert kinds(planned) == {"finished": 1, "failed": 1}


def test_runs_of_version_0_1_count_as_finished(sweep: Make) -> None:
    planned = sweep("reducer=none")
    assert work(planned) == OK
    (cell,) = planned.cells()
    (planned.results / cell.id / "DONE").write_text("")
    assert not list(sweep("reducer=none").cells())


def test_status_counts_what_is_on_the_disk(sweep: Make) -> None:
    planned = sweep("reducer=none,fastv", "ratio=0.5,0.25")
    first, *_ = planned.cells()
    journal = planned.results / first.id / "journal"
    journal.mkdir(parents=True)
    (journal / "00001-a.jsonl").write_bytes(2 * (signed(b"{}") + b"\n") + b"{}\n{")
    with Claim(planned.results / first.id):
        shown = winnow("status", planned.path, "--cells").output
    assert f"running   {first.id}  none  2 of 8 documents" in shown
    assert "0 of 3 cells · 1 running · 2 pending · about" in shown and "left with 1 worker" in shown


def test_unfinished_manifest_line_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps({"format": 1})[:-1])
    with pytest.raises(WinnowError, match="is damaged"):
        manifest.load(tmp_path)


@pytest.mark.parametrize(
    ("cores", "workers", "given", "expected"), [(8, 2, None, "4"), (2, 3, None, "1"), (8, 2, "3", "3")]
)
def test_workers_share_the_cores(
    sweep: Make, monkeypatch: pytest.MonkeyPatch, cores: int, workers: int, given: str | None, expected: str
) -> None:
    started: list[str] = []
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)))
    monkeypatch.setattr(
        local.subprocess, "Popen", lambda command, **more: started.append(more["env"]["OMP_NUM_THREADS"])
    )
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    planned = sweep("reducer=none")
    planned.logs.mkdir(parents=True)
    local.Crew(planned, workers, [None] * workers, 1)
    assert started == [expected] * workers

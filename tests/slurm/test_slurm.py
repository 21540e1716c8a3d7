"""Sweeps on a real Slurm: whatever the cluster does to the tasks, each cell ends as if nothing had happened."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster

from winnow.harness.run import journal
from winnow.harness.sweep.manifest import Manifest, load
from winnow.harness.sweep.state import Watch, answered, counts

ROOT = Path(__file__).resolve().parents[2]
CELLS = ("reducer=fastv,random", "ratio=0.5,0.25,0.1", "schedule=pico", "limit=60", "batch_size=4")

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(600)]


class Site:
    """A results folder on the cluster, and the commands that a user types there."""

    def __init__(self, slurm: Cluster, cache: Path, results: Path) -> None:
        self.slurm, self.results = slurm, results
        self.environment = slurm.environment | {"WINNOW_CACHE": str(cache), "OMP_NUM_THREADS": "1"}
        self.environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])

    def start(self, *words: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "winnow.harness.cli.main", *map(str, words)]
        return subprocess.Popen(command, env=self.environment, cwd=ROOT, text=True, stdout=subprocess.PIPE)

    def winnow(self, *words: object) -> str:
        process = self.start(*words)
        out, _ = process.communicate(timeout=300)
        print(f"$ winnow {' '.join(map(str, words))}\n{out}")
        return out

    def plan(self, *overrides: str) -> Manifest:
        path = self.winnow("plan", *(overrides or CELLS), f"results={self.results}").splitlines()[-1]
        return load(Path(path))

    def submit(self, manifest: Manifest, *options: object) -> str:
        defaults = ("--partition", "low", "--gpus", 0, "--cpus", os.cpu_count(), "--array-parallelism", 2)
        out = self.winnow("submit", manifest.path, *defaults, *options)
        return out.split()[2].rstrip(";")

    def slow_down(self) -> None:
        """Let every batch take a second more, so that the sweep lasts until something happened to it."""
        slow = str(Path(__file__).parent / "slow_disk")
        self.environment["PYTHONPATH"] = f"{slow}{os.pathsep}{self.environment['PYTHONPATH']}"

    def wait_for_rows(self, manifest: Manifest, rows: int) -> None:
        self.slurm.until(lambda: self.rows(manifest) >= rows)

    def rows(self, manifest: Manifest) -> int:
        finished = sum(state.kind == "finished" for state in Watch(manifest).look())
        return 60 * finished + sum(answered(manifest.results / cell.id) for cell in manifest.cells())

    def finish(self, manifest: Manifest, whole: dict[str, list[str]], idle: bool = True) -> None:
        """Wait for the end: every cell as in the undisturbed sweep, no document lost, none twice in the samples."""
        cells = len(list(manifest.cells()))
        self.slurm.until(lambda: counts(Watch(manifest).look())["finished"], cells, seconds=300)
        assert samples(self.results) == whole
        if idle:
            self.slurm.until(lambda: self.slurm.tasks(), {})


def samples(results: Path) -> dict[str, list[str]]:
    return {path.parent.name: path.read_text().splitlines() for path in results.glob("*/samples_*.jsonl")}


def kept_rows(manifest: Manifest) -> dict[str, int]:
    """By cell, the documents on the disk."""
    return {cell.id: len(journal.read(manifest.results / cell.id / "journal")) for cell in manifest.cells()}


@pytest.fixture
def site(slurm: Cluster, cache: Path, tmp_path: Path) -> Iterator[Site]:
    yield Site(slurm, cache, tmp_path / "runs")
    slurm.clear()


@pytest.fixture(scope="session")
def whole(slurm: Cluster, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The samples of an undisturbed sweep, by one worker without Slurm."""
    site = Site(slurm, cache, tmp_path_factory.mktemp("whole") / "runs")
    site.winnow("work", site.plan().path)
    found = samples(site.results)
    assert len(found) == 6 and all(len(lines) == 60 for lines in found.values())
    return found


def test_array_of_cells_survives_its_submitter(site: Site, whole: dict[str, list[str]]) -> None:
    manifest = site.plan()
    submitting = site.start(
        "submit", manifest.path, "--partition", "low", "--gpus", 0, "--cpus", os.cpu_count(), "--array-parallelism", 2
    )
    site.slurm.until(lambda: bool(site.slurm.tasks()))
    submitting.send_signal(signal.SIGKILL)
    submitting.wait()
    print(site.slurm("squeue"))
    site.wait_for_rows(manifest, 1)
    print(site.winnow("status", manifest.path))
    site.finish(manifest, whole)
    print(site.winnow("status", manifest.path, "--cells"))


def test_requeued_task_goes_on(site: Site, whole: dict[str, list[str]]) -> None:
    manifest = site.plan()
    job = site.submit(manifest)
    site.wait_for_rows(manifest, 20)
    site.slurm("scontrol", "requeue", f"{job}_0")
    site.slurm("scontrol", "requeue", f"{job}_1")
    site.slurm.until(lambda: set(site.slurm.tasks().values()) <= {"PENDING"})
    kept = kept_rows(manifest)
    print(f"requeued with {sum(kept.values())} documents on the disk: {site.slurm.tasks()}")
    site.finish(manifest, whole)


def test_time_limit_is_a_checkpoint_and_a_requeue(site: Site, whole: dict[str, list[str]]) -> None:
    """The limit of a task at work is lowered, so that the signal before it comes now, however slow the machine is."""
    manifest = site.plan()
    site.slow_down()
    job = site.submit(manifest, "--time", 10, "--signal-delay", 120, "--tasks", 1)
    site.wait_for_rows(manifest, 10)
    *_, minutes, _ = ("0:" + site.slurm("squeue", "-h", "-j", job, "-o", "%M").strip()).split(":")
    site.slurm("scontrol", "update", f"jobid={job}", f"timelimit={int(minutes) + 2}")
    logs = manifest.path.parent / "slurm"
    site.slurm.until(lambda: any("stopped: SIGUSR2 was received" in path.read_text() for path in logs.glob("*.err")))
    site.slurm.until(lambda: "PENDING" in site.slurm.tasks().values())
    kept = site.rows(manifest)
    print(f"stopped at the limit with {kept} of 360 documents on the disk: {site.slurm.tasks()}")
    said = "".join(path.read_text() for path in logs.glob("*.err"))
    assert "what was answered is kept" in said and "this job is timed-out" in said
    assert not list(manifest.results.glob("*/claim*")) and 10 <= kept < 360
    site.slurm("scontrol", "update", f"jobid={job}", "timelimit=10")
    site.finish(manifest, whole)


def test_preempted_task_goes_on_when_it_may(site: Site, whole: dict[str, list[str]]) -> None:
    manifest = site.plan()
    site.slow_down()
    site.submit(manifest, "--tasks", 2)
    site.wait_for_rows(manifest, 10)
    script = "#!/bin/bash\nsleep 5\n"
    command = ["sbatch", "--parsable", "-p", "high", "-N", "2", "--exclusive", "-o", "/dev/null"]
    done = subprocess.run(
        command, input=script, env=site.environment, capture_output=True, text=True, check=True, timeout=30
    )
    site.slurm.until(lambda: site.slurm.tasks("-p", "high").get(done.stdout.strip()), "RUNNING")
    kept = site.rows(manifest)
    print(f"preempted with {kept} of 360 documents on the disk: {site.slurm.tasks()}")
    low = site.slurm.tasks("-p", "low").values()
    assert low and "RUNNING" not in low and 10 <= kept < 360
    site.finish(manifest, whole)


def test_node_that_is_lost(site: Site, whole: dict[str, list[str]]) -> None:
    """Its task runs again elsewhere; the first may still be computing, out of the cluster's reach."""
    manifest = site.plan()
    site.submit(manifest)
    site.wait_for_rows(manifest, 20)
    site.slurm("scontrol", "update", "nodename=n2", "state=down", "reason=test")
    try:
        site.slurm.until(lambda: "n2" not in site.slurm("squeue", "-h", "-t", "R", "-o", "%N"))
        print(f"lost n2 with {sum(kept_rows(manifest).values())} documents in journals: {site.slurm.tasks()}")
        site.finish(manifest, whole, idle=False)  # the queue may hold the lost task until its node is back
    finally:
        site.slurm("scontrol", "update", "nodename=n2", "state=resume")


def test_cancel_ends_the_array_and_a_plain_script_goes_on(site: Site, whole: dict[str, list[str]]) -> None:
    manifest = site.plan()
    job = site.submit(manifest)
    site.wait_for_rows(manifest, 10)
    assert job in site.winnow("cancel", manifest.path)
    site.slurm.until(lambda: site.slurm.tasks(), {})
    assert counts(Watch(manifest).look())["running"] == 0
    manifest.cancel.unlink()
    script = ROOT / "scripts" / "slurm_array.sbatch"
    options = ["--partition=low", "--array=0-1%2", f"--output={site.results}/%A_%a.log", "--gres=none"]
    environment = site.environment | {"WINNOW": f"{sys.executable} -m winnow.harness.cli.main"}
    command = ["sbatch", *options, str(script), str(manifest.path)]
    subprocess.run(command, env=environment, cwd=ROOT, check=True, timeout=30)
    site.finish(manifest, whole)


def test_hydras_own_launcher_sends_each_cell_once(site: Site, whole: dict[str, list[str]]) -> None:
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    launcher = {"partition": "low", "timeout_min": 60, "cpus_per_task": os.cpu_count()}
    words = ["hydra/launcher=submitit_slurm", *(f"hydra.launcher.{key}={value}" for key, value in launcher.items())]
    cells = ["reducer=fastv", "ratio=0.5,0.25", "seed=0,1", *CELLS[2:], f"results={site.results}"]
    command = [sys.executable, "run.py", "-m", *words, *cells]
    done = subprocess.run(
        command, env=site.environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=500
    )
    print(f"$ run.py -m {' '.join(words + cells)}\n{done.stdout}")
    assert done.returncode == 0, done.stderr
    found = samples(site.results)
    assert len(found) == 2 and found.items() <= whole.items()  # fastv draws nothing, so that seeds change no cell
    assert len(list((site.results / ".sweep" / ".submitit").glob("*_[0-9]"))) == 2
    again = subprocess.run(command, env=site.environment, cwd=ROOT, capture_output=True, check=False, timeout=120)
    assert again.returncode == 0 and len(list((site.results / ".sweep" / ".submitit").glob("*_[0-9]"))) == 2


def test_nothing_left_is_said_and_nothing_sent(site: Site) -> None:
    manifest = site.plan("reducer=none", "limit=4")
    site.winnow("work", manifest.path)
    before = time.time()
    done = subprocess.run(
        [sys.executable, "-m", "winnow.harness.cli.main", "submit", str(manifest.path)],
        env=site.environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 2 and "nothing of this sweep is left to be run" in done.stderr
    assert not (manifest.path.parent / "jobs.json").exists() and time.time() > before
    assert json.loads(manifest.path.read_text())["format"] == 1

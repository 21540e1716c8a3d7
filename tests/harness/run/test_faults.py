"""Kills, interrupts and rivals: nothing that was answered is lost, and nothing is done twice at the same time."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from winnow.harness.run import journal

ROOT = Path(__file__).resolve().parents[3]
FASTV = ("reducer=fastv", "ratio=0.25", "schedule=pico", "limit=120", "batch_size=8")

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


@pytest.fixture
def environment(benchmark: Path) -> dict[str, str]:
    return os.environ | {"WINNOW_CACHE": str(benchmark)}


def start(environment: dict[str, str], results: Path, *overrides: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "run.py", *overrides, f"results={results}"],
        cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - a background job ignores it
    )  # fmt: skip


def answered(results: Path) -> int:
    """Complete lines in all journals."""
    return sum(path.read_bytes().count(b"\n") for path in results.glob("*/journal/*.jsonl"))


def wait_for(results: Path, rows: int, process: subprocess.Popen[str]) -> None:
    """Wait until the process has answered some documents."""
    while answered(results) < rows:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def samples(results: Path) -> dict[str, list[str]]:
    return {path.parent.name: path.read_text().splitlines() for path in results.glob("*/samples_*.jsonl")}


def journals(results: Path) -> dict[str, bytes]:
    return {f"{path.parent.parent.name}/{path.name}": path.read_bytes() for path in results.glob("*/journal/*.jsonl")}


@pytest.mark.parametrize("share", ["trunk", "all"])
def test_kill_in_mid_task_loses_nothing(environment: dict[str, str], tmp_path: Path, share: str) -> None:
    """Kill -9 three times at different moments; every answered row stays, and the end is that of an undisturbed run."""
    sweep = ("-m", "reducer=none,fastv,vas", f"share={share}", *FASTV[1:])
    whole = start(environment, tmp_path / "whole", *sweep)
    assert whole.wait(timeout=300) == 0
    results, before = tmp_path / "killed", 0
    for _ in range(3):
        process = start(environment, results, *sweep)
        wait_for(results, before + 40, process)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=60)
        kept = journals(results)
        before = answered(results)
        print(f"killed with {before} of 360 documents answered")
        found = {name: len(journal.read(results / name / "journal")) for name in {key.split("/")[0] for key in kept}}
        assert sum(found.values()) == before
    process = start(environment, results, *sweep)
    wait_for(results, before + 1, process)
    assert {name: journals(results)[name] for name in kept} == kept
    assert process.wait(timeout=300) == 0
    assert samples(results) == samples(tmp_path / "whole")
    assert len(samples(results)) == 3 and not list(results.glob("*/claim.*"))


@pytest.mark.parametrize("share", ["trunk", "all"])
def test_interrupt_ends_within_seconds_and_can_go_on(environment: dict[str, str], tmp_path: Path, share: str) -> None:
    sweep = ("-m", "reducer=none,fastv", f"share={share}", *FASTV[1:])
    process = start(environment, tmp_path, *sweep)
    wait_for(tmp_path, 8, process)
    process.send_signal(signal.SIGINT)
    asked = time.monotonic()
    _, errors = process.communicate(timeout=60)
    assert time.monotonic() - asked < 15  # 1.5 s on an idle machine
    assert process.returncode == 130
    assert errors.strip().splitlines()[-1] == (
        "interrupted; what was answered is kept: run the same command again to go on"
    )
    assert "Traceback" not in errors
    kept = answered(tmp_path)
    process = start(environment, tmp_path, *sweep)
    assert process.wait(timeout=300) == 0
    assert kept >= 8 and [len(rows) for rows in samples(tmp_path).values()] == [120, 120]


def test_second_process_leaves_the_cell_to_the_first(environment: dict[str, str], tmp_path: Path) -> None:
    first = start(environment, tmp_path, *FASTV)
    wait_for(tmp_path, 1, first)
    first.send_signal(signal.SIGSTOP)
    second = start(environment, tmp_path, *FASTV)
    _, errors = second.communicate(timeout=120)
    assert second.returncode == 3
    assert f"is being worked on by process {first.pid} on" in errors
    assert errors.count("\n") == 1
    first.send_signal(signal.SIGCONT)
    assert first.wait(timeout=300) == 0
    assert len(list(tmp_path.glob("*/DONE"))) == 1


def test_two_processes_share_a_sweep(environment: dict[str, str], tmp_path: Path) -> None:
    """Started at the same moment on the same cells; each cell is answered once, by one of them."""
    sweep = ("-m", "reducer=fastv", "ratio=0.5,0.25,0.1", "schedule=pico", "limit=40")
    rivals = [start(environment, tmp_path, *sweep) for _ in range(2)]
    codes = sorted(rival.wait(timeout=300) for rival in rivals)
    assert codes[0] == 0 or codes == [3, 3]
    done = list(tmp_path.glob("*/DONE"))
    assert len(done) == 3
    assert all(json.loads((path.parent / "result.json").read_text())["status"] == "complete" for path in done)


def test_full_disk_is_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    """The disk fills up in mid-task: after some batches the journal cannot be written any more."""
    program = (
        "import errno, sys; from winnow.harness.cli.run import main\n"
        "from winnow.harness.run.journal import Journal; real = Journal.append\n"
        "def append(self, rows):\n"
        "    if self.path.exists() and self.path.stat().st_size > 4000:\n"
        "        raise OSError(errno.ENOSPC, 'No space left on device')\n"
        "    return real(self, rows)\n"
        "Journal.append = append; sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *FASTV, f"results={tmp_path}"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == (
        f"error: cannot write into {tmp_path}: No space left on device; choose another folder with results=…"
    )
    assert answered(tmp_path) > 0

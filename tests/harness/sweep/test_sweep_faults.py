"""Sweeps whose workers are killed, stand still, overlap, or run out of disk: counts of what happened, lost, doubled.

Workers are forked from this process, which has everything imported, so that thirty of them can be killed in a minute.
"""

import contextlib
import errno
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from runs import result_of, samples_of
from tqdm import tqdm

from winnow.harness.run import cell_run, claim, journal, traces
from winnow.harness.run.record import Row
from winnow.harness.run.stop import Stop
from winnow.harness.sweep import manifest
from winnow.harness.sweep.manifest import Manifest
from winnow.harness.sweep.plan import plan
from winnow.harness.sweep.state import Watch, counts
from winnow.harness.sweep.work import work

ROOT = Path(__file__).resolve().parents[3]
FORK = multiprocessing.get_context("fork")
CELLS = ("reducer=none,fastv,random", "ratio=0.5,0.25,0.1", "schedule=pico", "limit=40", "batch_size=4")
DOCUMENTS = 7 * 40
SHORT = ("reducer=none,fastv", "ratio=0.5,0.25", "schedule=pico", "limit=16", "batch_size=4")
"""What each run of the tests disturbs, 3 * 16 documents; more of it is for `make test-faults`."""
LARGE = ("reducer=none,fastv,random,uniform", *CELLS[1:3], "tasks=pico_video", "limit=200", "batch_size=4")

Prepare = Callable[[], None]


@pytest.fixture(autouse=True)
def cache(benchmark: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import winnow.harness.sweep.worker
    from winnow.harness.tasks.lmms_eval import prepare

    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))
    prepare()
    assert winnow.harness.sweep.worker


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, benchmark: Path) -> Manifest:
    return undisturbed(tmp_path_factory.mktemp("whole"), benchmark)


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory, benchmark: Path) -> Manifest:
    return undisturbed(tmp_path_factory.mktemp("short"), benchmark, *SHORT)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory, benchmark: Path) -> Manifest:
    return undisturbed(tmp_path_factory.mktemp("large"), benchmark, *LARGE)


def undisturbed(folder: Path, benchmark: Path, *overrides: str) -> Manifest:
    """A sweep by one worker that nobody disturbs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_CACHE", str(benchmark))
        planned = made(folder / "runs", *overrides)
    child = fork(planned, environment={"WINNOW_CACHE": str(benchmark)})
    child.join()
    assert child.exitcode == 0
    return planned


def made(results: Path, *overrides: str) -> Manifest:
    planned = plan([*(overrides or CELLS), f"results={results}"])
    planned.save()
    return planned


def fork(
    planned: Manifest,
    index: int = 0,
    prepare: Prepare = lambda: None,
    parts: int = 1,
    environment: dict[str, str] | None = None,
) -> BaseProcess:
    """A worker of its own process; it writes each row that it brought to the disk into a ledger, too."""

    def run() -> None:
        os.environ.update(environment or {})
        os.environ["LMMS_EVAL_DATASETS_CACHE"] = str(planned.results.parent / "datasets")  # no lock survives a fork
        log = (planned.results.parent / f"worker-{os.getpid()}.log").open("w")
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        tqdm.set_lock(threading.RLock())  # workers of one parent share its lock, which one that is killed keeps
        torch.set_num_threads(1)  # makes the pool anew that a fork breaks, before several threads want it at once
        keep_books(planned.results.parent / "ledger")
        cell_run.DEATHS = 99  # kills from outside, thirty in a minute, look like a document's own
        prepare()
        os._exit(work(planned, index, 2, Stop(), True, parts))

    process = FORK.Process(target=run)
    process.start()
    return process


def keep_books(ledger: Path) -> None:
    original = journal.Journal.append

    def append(self: journal.Journal, rows: Any) -> list[Row]:
        kept = original(self, rows)
        with ledger.open("a") as file:
            file.write("".join(f"{self.path.parent.parent.name}/{row.task}/{row.doc_id}\n" for row in kept))
        return kept

    journal.Journal.append = append  # type: ignore[method-assign]


def doubles(planned: Manifest) -> int:
    """Documents that were brought to the disk more than once."""
    lines = Counter((planned.results.parent / "ledger").read_text().splitlines())
    return sum(count - 1 for count in lines.values())


def on_disk(planned: Manifest) -> dict[tuple[str, str, int], str]:
    """Every answer that is in a journal or among the samples."""
    found = {}
    for cell in planned.cells():
        folder = planned.results / cell.id
        rows = rows_of(folder)
        found |= {(cell.id, row.task, row.doc_id): row.answer for row in rows}
        found |= {(cell.id, sample["task"], sample["doc_id"]): sample["answer"] for sample in samples_of(folder)}
    return found


def rows_of(folder: Path) -> list[Row]:
    """The rows of a journal, which may vanish while it is read: then its run is finished."""
    try:
        return list(journal.read(folder / "journal").values())
    except FileNotFoundError:
        return []


def differing(planned: Manifest, whole: Manifest) -> list[str]:
    """What of the files differs: samples and scores bit by bit, traces and results but for seconds and dates.

    And but for the size of a batch: documents whose batch died twice are answered one by one.
    """
    found = []
    for cell in whole.cells():
        one, other = planned.results / cell.id, whole.results / cell.id
        names = sorted(path.name for path in other.glob("s*.*") if path.suffix in (".jsonl", ".parquet"))
        found += [f"{cell.id}/{name}" for name in names if (one / name).read_bytes() != (other / name).read_bytes()]
        traced, expected = (
            [replace(row, seconds=0, batch=1) for row in traces.read(folder / "traces.parquet")]
            for folder in (one, other)
        )
        if traced != expected:
            found.append(f"{cell.id}/traces.parquet")
        parts = ("tasks", "shares", "cost", "status")
        found += [f"{cell.id}: {key}" for key in parts if result_of(one)[key] != result_of(other)[key]]
    return found


def wait_for_rows(planned: Manifest, rows: int, workers: Sequence[BaseProcess] = ()) -> None:
    while len(on_disk(planned)) < rows:
        working = not workers or any(worker.is_alive() for worker in workers)
        assert working or len(on_disk(planned)) >= rows, "every worker has ended before"
        time.sleep(0.02)


def test_workers_are_killed_at_some_moments(tmp_path: Path, short: Manifest) -> None:
    planned = made(tmp_path / "runs", *SHORT)
    assert kill_some(planned, 3 * 16, 3, 1, (lambda: None, lambda: None)) == NOTHING_LOST
    assert not differing(planned, short)


@pytest.mark.faults
@pytest.mark.parametrize(("kills", "parts"), [(30, 1), (10, 3)])
@pytest.mark.timeout(600)
def test_workers_are_killed_at_random_moments(tmp_path: Path, whole: Manifest, kills: int, parts: int) -> None:
    planned = made(tmp_path / "runs")
    assert kill_some(planned, DOCUMENTS, kills, parts, (lambda: None, lambda: None)) == NOTHING_LOST
    assert not differing(planned, whole)


class Left(NamedTuple):
    """Documents that are missing, lost again and answered twice, exit codes of the last workers, and claims."""

    missing: int
    lost: int
    doubled: int
    codes: list[int | None]
    held: list[str]


NOTHING_LOST = Left(0, 0, 0, [0, 0], [])


def kill_some(
    planned: Manifest,
    documents: int,
    kills: int,
    parts: int,
    prepare: tuple[Prepare, Prepare],
    dying: float = 0.0,
) -> Left:
    """Kill two workers at random moments, each followed by another; count what is lost and what is done twice.

    One that is killed between the end of a cell and that of its group leaves the claim: of another machine it dies in
    `dying` seconds.
    """
    draw = random.Random(kills)
    workers = [fork(planned, index, prepare[index], parts) for index in range(2)]
    lost = killed = 0
    before: dict[tuple[str, str, int], str] = {}
    for _ in range(kills):
        # mostly soon after an answer, sometimes while tasks or model load, or while a cell is scored
        time.sleep(draw.choice((0.1, 0.5)) * draw.random())
        wait_for_rows(planned, min(documents, len(before) + draw.randrange(0, documents // kills)), workers)
        index = draw.randrange(2)
        if workers[index].is_alive():
            os.kill(workers[index].pid or 0, signal.SIGKILL)
            killed += 1
        workers[index].join()
        now = on_disk(planned)
        lost += sum(now.get(key) != answer for key, answer in before.items())
        before = now
        workers[index] = fork(planned, index, prepare[index], parts)
    for worker in workers:
        worker.join()
    now = on_disk(planned)
    lost += sum(now.get(key) != answer for key, answer in before.items())
    print(f"{killed} of {kills} kills met a worker at work")
    print(f"{len(now)} of {documents} documents, {lost} lost, {doubles(planned)} doubled")
    missing, codes = documents - len(now), [worker.exitcode for worker in workers]
    until = time.monotonic() + dying
    while (held := [cell.id for cell in planned.cells() if claim.living_claim(planned.results / cell.id)]) and (
        time.monotonic() < until
    ):
        time.sleep(0.5)
    return Left(missing, lost, doubles(planned), codes, held)


@pytest.mark.faults
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("shared", [False, True], ids=["one machine", "a clock ahead and stale listings"])
def test_a_large_sweep_under_a_hundred_kills(
    tmp_path: Path, large: Manifest, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claim, "STALE", 30.0)
    planned = made(tmp_path / "runs", *LARGE)
    here, there = remote("here"), remote("there")

    def slow(prepare: Prepare, ahead: float) -> None:
        prepare()
        claim.STALE, claim.HEARTBEAT = 30.0, 0.5
        real = time.time
        time.time = lambda: real() + ahead
        stale_listings(str(planned.results), 2.0)

    prepared = (partial(slow, here, 0.0), partial(slow, there, 7200.0)) if shared else (lambda: None, lambda: None)
    assert kill_some(planned, 10 * 200, 100, 1, prepared, 31.0 if shared else 0.0) == NOTHING_LOST
    assert not differing(planned, large)


class Listing:
    """What `os.scandir` gives, from a list."""

    def __init__(self, entries: list[Any]) -> None:
        self.entries = iter(entries)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self.entries)

    def __enter__(self) -> Iterator[Any]:
        return self

    def __exit__(self, *error: object) -> None:
        """There is nothing to close."""


def stale_listings(root: str, seconds: float) -> None:
    """Let folders look as they did some seconds ago, but for what this process did itself, as on a network."""
    known: dict[str, tuple[float, list[Any]]] = {}
    scandir = os.scandir

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event in ("os.link", "os.remove", "os.mkdir", "os.rename") or (
            event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_CREAT
        )
        if writes:
            for name in arguments[:2]:
                known.pop(os.path.dirname(str(name)), None)  # noqa: PTH120 - called for every file

    def stale(path: Any = ".") -> Listing:
        since, listing = known.get(str(path), (float("-inf"), list[Any]()))
        if time.monotonic() - since > seconds:
            with scandir(path) as found:
                listing = list(found)
            if str(path).startswith(root):
                known[str(path)] = time.monotonic(), listing
        return Listing(listing)

    os.scandir = stale  # type: ignore[assignment]
    os.listdir = lambda path=".": [entry.name for entry in stale(path)]  # type: ignore[assignment]
    sys.addaudithook(note)


def remote(name: str) -> Prepare:
    """Make a worker look like one on another machine, whose claims die with their heartbeat, quickly."""

    def prepare() -> None:
        claim._host = lambda: name
        claim.STALE, claim.HEARTBEAT, claim.MEASURE = 1.0, 0.1, 0.5

    return prepare


def test_worker_that_stood_still_wakes_up(tmp_path: Path, short: Manifest) -> None:
    """Another took over and finished everything; the sleeper then changes nothing but its own segments."""
    planned = made(tmp_path / "runs", *SHORT)
    sleeper = fork(planned, 0, remote("here"))
    wait_for_rows(planned, 12)
    assert sleeper.pid
    os.kill(sleeper.pid, signal.SIGSTOP)
    other = fork(planned, 1, remote("there"))
    other.join()
    assert other.exitcode == 0
    before = {path: path.read_bytes() for path in planned.results.glob("*/*") if path.is_file()}
    os.kill(sleeper.pid, signal.SIGCONT)
    sleeper.join()
    assert sleeper.exitcode == 0
    after = {path: path.read_bytes() for path in planned.results.glob("*/*") if path.is_file()}
    print(f"{doubles(planned)} documents answered by both (at most the sleeper's last batch of 4)")
    assert after == before and doubles(planned) <= 4
    assert not differing(planned, short)


@pytest.mark.faults
@pytest.mark.parametrize("jump", [3600, -3600], ids=["forward", "back"])
def test_clock_that_jumps(tmp_path: Path, whole: Manifest, jump: int) -> None:
    """The clock of one of two machines is an hour off from the middle of the sweep; nobody is taken for dead."""
    planned = made(tmp_path / "runs")

    def jumping() -> None:
        remote("there")()
        claim.STALE = 30.0
        real, started = time.time, time.monotonic()
        time.time = lambda: real() + (jump if time.monotonic() - started > 1 else 0)

    def steady() -> None:
        remote("here")()
        claim.STALE = 30.0

    workers = [fork(planned, 0, steady), fork(planned, 1, jumping)]
    for worker in workers:
        worker.join()
    print(f"{doubles(planned)} documents doubled")
    assert [worker.exitcode for worker in workers] == [0, 0] and doubles(planned) == 0
    assert not differing(planned, whole)


@pytest.mark.faults
def test_two_sweeps_overlap(tmp_path: Path, whole: Manifest) -> None:
    planned = made(tmp_path / "runs")
    other = made(tmp_path / "runs", "reducer=none,fastv,uniform", *CELLS[1:])
    shared = {cell.id for cell in planned.cells()} & {cell.id for cell in other.cells()}
    workers = [fork(planned, 0), fork(other, 0), fork(other, 1)]
    for worker in workers:
        worker.join()
    print(f"{len(shared)} cells in both sweeps; {doubles(planned)} documents doubled")
    assert [worker.exitcode for worker in workers] == [0, 0, 0]
    assert len(shared) == 4 and doubles(planned) == 0
    assert counts(Watch(other).look())["finished"] == len(list(other.cells()))
    assert not differing(planned, whole)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, which is as full or as read-only as a test wants."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "none", folder], check=False).returncode:
        pytest.skip("a file system of its own cannot be mounted here")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.faults
@pytest.mark.parametrize("fault", [errno.ENOSPC, errno.EROFS], ids=["full", "read-only"])
def test_disk_that_fails_in_mid_run(small_disk: Path, tmp_path: Path, whole: Manifest, fault: int) -> None:
    """It becomes full, or read-only; every worker ends with one line, and later goes on with what was kept."""
    planned = made(small_disk / "runs")
    workers = [subprocess_worker(planned, index) for index in range(2)]
    wait_for_rows(planned, 20)
    ballast = small_disk / "ballast"
    if fault == errno.ENOSPC:
        fill(ballast)
    else:
        remount(small_disk, "ro")
    said = [worker.communicate(timeout=120)[1] for worker in workers]
    assert [worker.returncode for worker in workers] == [2, 2], said
    line = f"error: cannot write into {planned.results}: {os.strerror(fault)}; choose another folder with results=…"
    assert all(text.strip().splitlines()[-1] == line for text in said), said
    kept = on_disk(planned)
    if fault == errno.ENOSPC:
        ballast.unlink()
        remount(small_disk, "size=64m")
    else:
        remount(small_disk, "rw")
    again = subprocess_worker(planned, 0)
    again.communicate(timeout=300)
    assert again.returncode == 0
    now = on_disk(planned)
    print(f"{len(kept)} documents kept, {sum(now[key] != answer for key, answer in kept.items())} lost")
    assert kept.items() <= now.items()
    assert not differing(planned, whole)


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", folder], check=True)


def subprocess_worker(planned: Manifest, index: int) -> "subprocess.Popen[str]":
    command = [
        sys.executable,
        "-m",
        "winnow.harness.cli.main",
        "work",
        str(planned.path),
        "--index",
        str(index),
        "--of",
        "2",
        "--wait",
    ]
    return subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


@pytest.mark.faults
def test_killed_worker_is_replaced_and_workers_end_with_who_started_them(tmp_path: Path, whole: Manifest) -> None:
    planned = made(tmp_path / "runs")
    command = [sys.executable, "-m", "winnow.harness.cli.main", "run", str(planned.path), "--workers", "2"]
    first = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for_rows(planned, 10)
    workers = holders_of(planned)
    first.send_signal(signal.SIGKILL)
    first.wait()
    deadline = time.monotonic() + 60
    while any(claim._start_time(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    kept = on_disk(planned)
    assert len(kept) < DOCUMENTS
    second = subprocess.Popen(command, cwd=ROOT, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    wait_for_rows(planned, len(kept) + 10)
    os.kill(min(holders_of(planned)), signal.SIGKILL)
    _, said = second.communicate(timeout=300)
    assert second.returncode == 0 and "was killed by SIGKILL: replaced" in said
    assert kept.items() <= on_disk(planned).items()
    assert not differing(planned, whole)


def holders_of(planned: Manifest) -> set[int]:
    """Numbers of the processes that hold cells."""
    found: set[int] = set()
    while not found:
        for path in planned.results.glob("*/claim.*"):
            try:
                found.add(int(json.loads(path.read_text())["pid"]))
            except FileNotFoundError:
                continue
    return found


def test_manifest_outlives_a_killed_plan(tmp_path: Path) -> None:
    """It is there as a whole or not at all."""
    planned = made(tmp_path / "runs", "reducer=none", "limit=4")
    assert manifest.load(planned.path) == planned
    assert [path.name for path in planned.path.parent.iterdir()] == ["manifest.json"]

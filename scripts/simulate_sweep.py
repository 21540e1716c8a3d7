"""How claims behave at scale: many processes share the cells of a sweep on a real file system; the cells do no work.

    python scripts/simulate_sweep.py --cells 10000 --workers 200 --folder /shared/somewhere

Each worker is a process with the code that real workers take cells with. What it asks of the file system is counted by
audit events and a count around `os.stat`; local file systems answer faster than networks do, so that the operations per
cell carry over to a cluster and the seconds do not. Figures for cells of some length follow from the counts.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from winnow.harness.common.run_files import DONE
from winnow.harness.config.cell import Cell, Method
from winnow.harness.config.schema import BudgetConfig, ModelConfig, NominalConfig, TasksConfig
from winnow.harness.run.claim import HEARTBEAT, Claim
from winnow.harness.sweep.cell_queue import LARGEST, CellQueue
from winnow.harness.sweep.manifest import NAME, Manifest, SweepCell

EVENTS = {
    "open": "open", "os.scandir": "list", "os.listdir": "list", "os.link": "link", "os.remove": "unlink",
    "os.mkdir": "mkdir", "os.utime": "utime", "os.rename": "rename",
}  # fmt: skip


def count_operations(folder: str, found: "Counter[str]") -> None:
    """Count what this process asks of the file system below a folder."""

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event in EVENTS and arguments and str(arguments[0]).startswith(folder):
            found[EVENTS[event]] += 1

    stat = os.stat

    def counted(path: Any, *more: Any, **named: Any) -> os.stat_result:
        if str(path).startswith(folder):
            found["stat"] += 1
        return stat(path, *more, **named)

    sys.addaudithook(note)
    os.stat = counted


def make(folder: Path, cells: int, groups: int) -> Manifest:
    """A sweep of cells that differ in their seed."""
    model = ModelConfig("m", "f", "r", frames=1, has_cls=False, nominal=NominalConfig(1, 1, 1))
    tasks = TasksConfig("t", ["t"], metric="accuracy", max_new_tokens=1)
    method = Method("none", "winnow.reducers.none:NoReduction", {})
    planned = [
        SweepCell(f"{number:012x}", "none", 1.0, 1, Cell(model, method, tasks, BudgetConfig(), folder, seed=number))
        for number in range(cells)
    ]
    return Manifest(folder / NAME, folder, [planned[start::groups] for start in range(groups)])


def run(manifest: Manifest, index: int, workers: int, seconds: float, gate: Any, reports: Any) -> None:
    """Be one worker: take cells, hold them for a while, mark them as finished."""
    found: Counter[str] = Counter()
    count_operations(str(manifest.results), found)
    share, taken, longest = CellQueue(manifest, index, workers), 0, 0.0
    gate.wait()
    started = time.perf_counter()
    for group in share.groups():
        while True:
            with ExitStack() as stack:
                before = time.perf_counter()
                claims: dict[str, Claim] = share.take(group, stack)
                if not claims:
                    break
                longest = max(longest, (time.perf_counter() - before) / len(claims))
                time.sleep(seconds * len(claims))
                for name in claims:
                    (manifest.results / name / DONE).touch()
                taken += len(claims)
    reports.put((taken, time.perf_counter() - started, longest, dict(found)))


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cells", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=200)
    parser.add_argument("--groups", type=int, default=20, help="models x task sets")
    parser.add_argument("--seconds", type=float, default=0.0, help="that each cell takes")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of a real cell, for the rates")
    parser.add_argument("--folder", type=Path, help="where; by default a temporary folder")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="winnow-simulation-", dir=options.folder))
    try:
        _simulate(folder, options)
    finally:
        shutil.rmtree(folder)


def _simulate(folder: Path, options: argparse.Namespace) -> None:
    manifest = make(folder, options.cells, options.groups)
    manifest.save()
    context = multiprocessing.get_context("fork")
    gate, reports = context.Barrier(options.workers), context.SimpleQueue()
    arguments = [(manifest, i, options.workers, options.seconds, gate, reports) for i in range(options.workers)]
    processes = [context.Process(target=run, args=given) for given in arguments]
    for process in processes:
        process.start()
    got = [reports.get() for _ in processes]
    for process in processes:
        process.join()
    taken, wall = sum(report[0] for report in got), max(report[1] for report in got)
    operations: Counter[str] = Counter()
    for report in got:
        operations.update(report[3])
    total = sum(operations.values())
    left = len(list(folder.glob("*/claim*")))
    sweep = options.cells * options.minutes * 60 / options.workers
    beats = options.workers * LARGEST / HEARTBEAT
    size = len(json.dumps({"host": "x" * 40, "pid": 1234567, "started": "123456789", "token": "x" * 32}))
    print(f"{options.cells} cells, {options.workers} workers, {options.groups} groups, at most {LARGEST} cells each")
    print(f"claimed {taken} (every cell once: {taken == options.cells}), claims left behind: {left}")
    print(f"{wall:.1f} s, {taken / wall:.0f} claims/s; slowest take {max(report[2] for report in got):.2f} s a cell")
    print(f"operations: {total}, {total / options.cells:.1f} a cell: {dict(operations.most_common())}")
    print(f"manifest {manifest.path.stat().st_size / 1e6:.1f} MB, read once by each worker; a claim has {size} bytes")
    print(
        f"with cells of {options.minutes:g} min: {sweep / 3600:.1f} h, {total / sweep:.1f} operations/s for claims "
        f"and at most {beats:.0f} utime/s for heartbeats, all workers together"
    )


if __name__ == "__main__":
    main()

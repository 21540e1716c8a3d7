"""Do the tests notice small faults? Cosmic Ray makes them; the tests that run a changed line have to fail.

    mutants.py [--sample 300] [--seed 1] [--workers 2] [--rooms ROOM...] [--tests TEST...]

Everything happens in copies of the tree below `build/mutants`, in a folder named after its content: the tests run once
under coverage, faults are drawn, and each is tried with the tests that cover its lines, the nearest first. Stopped, the
same command goes on from there. A fault that no test notices is one line; docs/testing.md says how to read them.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import random
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import cache, partial
from itertools import takewhile
from pathlib import Path
from queue import SimpleQueue

from cosmic_ray.commands.init import init
from cosmic_ray.mutating import mutate_and_test
from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult
from coverage import CoverageData

ROOT = Path(__file__).parents[1]
ROOMS = (
    "reducers",
    "models/engine",
    "harness/score",
    "harness/cost",
    "harness/plan",
    "harness/config",
    "harness/results/paper",
)
"""Whose faults are drawn: what decides numbers and the names of runs."""
RUN = {"configs", "harness", "models", "reducers", "results", "tests", "winnow", "pyproject.toml"}
"""What tests run; a change elsewhere leaves results as they are."""
MOST = 60
"""Tests that a fault is tried with, the nearest to it; a line of the engine is covered by thousands."""
PATIENCE = 150.0
"""Seconds for them; a fault that takes longer counts as noticed, as endless loops are."""
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Shop:
    """Where faults are made: the folder of one content of the tree."""

    folder: Path

    def tree(self, worker: int) -> Path:
        """A worker's own copy."""
        return self.folder / f"tree-{worker}"

    def command(self, worker: int, *words: str) -> list[str]:
        """A command in that copy, whose package stands before the installed one in child processes too."""
        tree = self.tree(worker)
        return ["env", "-C", str(tree), f"PYTHONPATH={tree}", *PYTEST, *words]


def main() -> int:
    """Draw, try, and say what survived."""
    options = _options()
    files = _tracked()
    shop = Shop(ROOT / "build" / "mutants" / _digest(files, [*options.rooms, *options.tests]))
    for worker in range(options.workers):
        _copy(files, shop.tree(worker))
    _cover(shop, options)
    drawn = WorkDB(shop.folder / f"{options.sample}-{options.seed}.sqlite", WorkDB.Mode.create)
    if not drawn.num_work_items:
        drawn.add_work_items(_draw(shop, options))
    _try_all(shop, drawn, options.workers)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rooms", nargs="+", default=ROOMS, help="folders of code")
    parser.add_argument("--tests", nargs="+", default=[], help="folders or files of tests; all, if none are given")
    return parser.parse_args()


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (ROOT / name).exists()]


def _digest(files: Sequence[Path], words: Sequence[str]) -> str:
    found = hashlib.sha256(repr(words).encode())
    for path in files:
        if path.parts[0] in RUN and (ROOT / path).is_file():
            found.update(str(path).encode() + (ROOT / path).read_bytes())
    return found.hexdigest()[:12]


def _copy(files: Sequence[Path], tree: Path) -> None:
    """Copy the tree anew: a process that was killed may have left a fault in it."""
    shutil.rmtree(tree, ignore_errors=True)
    for path in files:
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, tree / path, follow_symlinks=False)


def _cover(shop: Shop, options: argparse.Namespace) -> None:
    """Note which test runs which line; the tests have to pass as they are."""
    kept = shop.folder / "coverage"
    if kept.exists():
        return
    rooms = [f"--cov={room}" for room in options.rooms]
    words = ("-n", str(options.workers), *rooms, "--cov-context=test", "--cov-report=", *options.tests)
    subprocess.run(shop.command(0, *words), check=True)
    (shop.tree(0) / ".coverage").rename(kept)


def _draw(shop: Shop, options: argparse.Namespace) -> list[WorkItem]:
    """Draw places in the code, then one fault for each; what stands in annotations is never run."""
    modules = [path for room in options.rooms for path in sorted((shop.tree(0) / room).rglob("*.py"))]
    known = shop.folder / "all.sqlite"
    found = WorkDB(known, WorkDB.Mode.create)
    if not found.num_work_items:
        init(modules, found, {})
    places: dict[tuple[str, tuple[int, int]], list[WorkItem]] = {}
    for item in found.work_items:
        (fault,) = item.mutations
        if not _in_annotation(fault):
            places.setdefault((str(fault.module_path), fault.start_pos), []).append(item)
    chance = random.Random(options.seed)  # noqa: S311
    chosen = chance.sample(sorted(places), min(options.sample, len(places)))
    return [chance.choice(sorted(places[place], key=_kind)) for place in chosen]


def _kind(item: WorkItem) -> tuple[str, int]:
    (fault,) = item.mutations
    return fault.operator_name, fault.occurrence


def _in_annotation(fault: MutationSpec) -> bool:
    return any(start <= fault.start_pos < end for start, end in _annotations(fault.module_path))


@cache
def _annotations(path: Path) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations begin and end."""
    nodes = [*ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    kinds = [node.returns for node in nodes if isinstance(node, ast.FunctionDef)]
    kinds += [node.annotation for node in nodes if isinstance(node, ast.arg | ast.AnnAssign)]
    return [
        ((kind.lineno, kind.col_offset), (kind.end_lineno or 0, kind.end_col_offset or 0)) for kind in kinds if kind
    ]


def _try_all(shop: Shop, drawn: WorkDB, workers: int) -> None:
    """Try what has no result yet; print each survivor, those of before first, and the score."""
    covering = CoverageData(str(shop.folder / "coverage"))
    covering.read()
    items = {item.job_id: item for item in drawn.work_items}
    results = dict(drawn.results)
    for job, result in results.items():
        _say(items[job], result)
    free: SimpleQueue[int] = SimpleQueue()
    for worker in range(workers):
        free.put(worker)
    with ThreadPoolExecutor(workers) as pool:
        pending = {
            pool.submit(_try, shop, free, item, _tests_of(item, shop, covering)): job
            for job, item in items.items()
            if job not in results
        }
        for done in as_completed(pending):
            results[pending[done]] = done.result()
            drawn.set_result(pending[done], done.result())
            _say(items[pending[done]], done.result())
    noticed = sum(result.is_killed for result in results.values())
    print(f"{noticed} of {len(items)} faults were noticed: {100 * noticed / max(1, len(items)):.0f} %")


def _tests_of(item: WorkItem, shop: Shop, covering: CoverageData) -> list[str]:
    """The tests that run a line of the fault, or, for what runs on import, any line of its module; nearest first."""
    (fault,) = item.mutations
    lines = covering.contexts_by_lineno(str(fault.module_path.resolve()))
    own = {name for line in range(fault.start_pos[0], fault.end_pos[0] + 1) for name in lines.get(line, ())}
    whole = {name for names in lines.values() for name in names} if "" in own else set()
    names = {name.partition("|")[0] for name in own - {""} or whole - {""}}
    return sorted(names, key=partial(_distance, fault.module_path.relative_to(shop.tree(0))))[:MOST]


def _distance(module: Path, test: str) -> tuple[bool, int, str]:
    """How far a test lies from a module whose folders it mirrors."""
    path = Path(test.partition("::")[0]).relative_to("tests")
    shared = takewhile(lambda pair: pair[0] == pair[1], zip(path.parts[:-1], module.parts[:-1], strict=False))
    return path.name != f"test_{module.name}", -len([*shared]), test


def _try(shop: Shop, free: SimpleQueue[int], item: WorkItem, tests: Sequence[str]) -> WorkResult:
    if not tests:
        return WorkResult(WorkerOutcome.NO_TEST, test_outcome=TestOutcome.SURVIVED, output="no test covers it")
    worker = free.get()
    try:
        return mutate_and_test(
            _moved(item.mutations, shop, worker), shlex.join(shop.command(worker, "-x", "-n", "0", *tests)), PATIENCE
        )
    finally:
        free.put(worker)


def _moved(faults: Iterable[MutationSpec], shop: Shop, worker: int) -> list[MutationSpec]:
    """The same faults in a worker's own copy."""
    first, own = shop.tree(0), shop.tree(worker)
    return [
        MutationSpec(
            own / fault.module_path.relative_to(first),
            fault.operator_name,
            fault.occurrence,
            fault.start_pos,
            fault.end_pos,
            fault.operator_args,
        )
        for fault in faults
    ]


def _say(item: WorkItem, result: WorkResult) -> None:
    if result.is_killed:
        return
    (fault,) = item.mutations
    changed = [line for line in (result.diff or "").splitlines() if line[:1] in "+-" and line[:3] not in ("---", "+++")]
    where = f"{Path(*fault.module_path.parts[fault.module_path.parts.index('tree-0') + 1 :])}:{fault.start_pos[0]}"
    said = " / ".join(f"{line[0]} {line[1:].strip()}" for line in changed) or result.output
    print(f"survived: {where} {fault.operator_name.removeprefix('core/')}: {said}", flush=True)


if __name__ == "__main__":
    raise SystemExit(main())

"""Do the tests notice small faults? Cosmic Ray makes them; the tests that run a changed line have to fail.

    mutants.py [--sample 300] [--seed 1] [--workers 2] [--rooms ROOM...] [--tests TEST...]

Everything happens in copies of the tree below `build/mutants`, in a folder named after its content: each file of tests
runs once under coverage, faults are drawn, and each is tried with the tests that run its lines, the nearest first.
Stopped, the same command goes on from there. A fault that no test notices is one line; docs/testing.md says how to read
them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cosmic_ray.work_db import WorkDB
from cosmic_ray.work_item import WorkItem, WorkResult

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from scripts.mutation import covering, nearest, score, shop, trial
from scripts.mutation.draw import draw
from scripts.mutation.verdict import Verdict, judged
from scripts.mutation.worker import Worker, side_by_side

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
CONTROLS = 10
"""Trials without a fault, in which no test may fail."""


def main() -> int:
    """Draw, try, and say what survived; the exit code is 1 if a trial had an error."""
    options = _options()
    made = shop.opened(options.rooms, options.tests, options.workers)
    drawn = WorkDB(made.folder / f"{options.sample}-{options.seed}.sqlite", WorkDB.Mode.create)
    if not drawn.num_work_items:
        drawn.add_work_items(draw(made, options.sample, options.seed, options.workers))
    with _workers(made, options.workers) as workers:
        for _, failed in side_by_side(
            lambda worker, tests: covering.measure(made, worker, tests), made.test_files(), workers
        ):
            for test in failed:
                print(f"left out, as it fails without a fault: {test}", flush=True)
        return _try_all(made, drawn, workers)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sample", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rooms", nargs="+", default=ROOMS, help="folders of code")
    parser.add_argument("--tests", nargs="+", default=[], help="folders or files of tests; all, if none are given")
    return parser.parse_args()


@contextmanager
def _workers(made: shop.Shop, count: int) -> Iterator[list[Worker]]:
    workers = [Worker(made.tree(number)) for number in range(count)]
    try:
        yield workers
    finally:
        for worker in workers:
            worker.close()


def _try_all(made: shop.Shop, drawn: WorkDB, workers: Sequence[Worker]) -> int:
    """Try what has no result yet; print each survivor, those of before first, and the score."""
    items: dict[str, WorkItem] = {item.job_id: item for item in drawn.work_items}
    known = covering.gathered(made, {str(item.mutations[0].module_path) for item in items.values()})
    tests = {job: nearest.tests_of(item.mutations[0], made.tree(0), known) for job, item in items.items()}
    seconds = {job: sum(known.seconds[test] for test in chosen) for job, chosen in tests.items()}
    results: dict[str, WorkResult] = dict(drawn.results)
    for job, result in results.items():
        score.show(items[job], result)
    if not results:
        _control([job for job in items if tests[job]][:CONTROLS], tests, seconds, workers)
    left = [job for job in items if job not in results]

    def attempt(worker: Worker, job: str) -> WorkResult:
        return trial.attempt(items[job].mutations[0], tests[job], seconds[job], worker)

    for job, result in side_by_side(attempt, left, workers):
        results[job] = result
        if trial.verdict(result) is not Verdict.ERROR:
            drawn.set_result(job, result)
        score.show(items[job], result)
    print(score.summary(items, results, made.rooms))
    return int(any(trial.verdict(result) is Verdict.ERROR for result in results.values()))


def _control(
    jobs: Sequence[str], tests: dict[str, list[str]], seconds: dict[str, float], workers: Sequence[Worker]
) -> None:
    """Run the tests of some faults without the fault: else what they find would say nothing."""
    for job, answer in side_by_side(lambda worker, job: trial.run(tests[job], seconds[job], worker), jobs, workers):
        found, said = judged(answer)
        if found is not Verdict.SURVIVED:
            sys.exit(f"the tests of {job} do not pass without a fault, run together: {found.value}: {said}")


if __name__ == "__main__":
    raise SystemExit(main())

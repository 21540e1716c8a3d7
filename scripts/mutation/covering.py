"""Which test runs which line and how long it takes: each file of tests, once, under coverage, in its own process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from scripts.mutation.shop import Shop
from scripts.mutation.worker import Worker

SLOW = 60
"""Seconds; a test that takes longer guards no trial, and is left out."""
LONGEST = 900
"""Seconds for a file of tests."""


@dataclass(frozen=True)
class Ran:
    """A line that a test ran; `setup` where a fixture did, which other tests may have used too."""

    test: str
    setup: bool


@dataclass(frozen=True)
class Covering:
    """What all tests that pass have run: by module and line, with the seconds of each test."""

    lines: dict[str, dict[int, set[Ran]]]
    seconds: dict[str, float]


def measure(shop: Shop, worker: Worker, tests: Path) -> list[str]:
    """Run a file of tests as it is, keep its lines and times, and return the tests that failed."""
    kept = shop.kept(tests)
    if kept.exists():
        return list(json.loads(kept.read_text())["failed"])
    kept.parent.mkdir(parents=True, exist_ok=True)
    settings, lines = kept.with_suffix(".ini"), kept.with_suffix(".lines")
    settings.write_text("[run]\nrelative_files = true\n")
    lines.unlink(missing_ok=True)
    words = [
        *(f"--cov={room}" for room in shop.rooms),
        "--cov-context=test",
        "--cov-report=",
        f"--cov-config={settings}",
    ]
    answer = worker.run(
        [*words, "-o", f"timeout={SLOW}", str(tests)],
        limit=LONGEST,
        cpu=LONGEST,
        env={"COVERAGE_FILE": str(lines)},
        keep=True,
    )
    failed = answer.failed if answer.code in (0, 1, 5) and not answer.broken else [str(tests)]
    kept.with_suffix(".log").write_text(answer.output)
    kept.write_text(json.dumps({"seconds": answer.seconds, "failed": failed}))
    return failed


def gathered(shop: Shop, modules: set[str]) -> Covering:
    """Read what was measured about some modules."""
    lines: dict[str, dict[int, set[Ran]]] = {module: {} for module in modules}
    seconds: dict[str, float] = {}
    for tests in shop.test_files():
        kept = shop.kept(tests)
        noted = json.loads(kept.read_text())
        seconds |= {test: took for test, took in noted["seconds"].items() if test not in noted["failed"]}
        if kept.with_suffix(".lines").exists():
            _add(lines, kept.with_suffix(".lines"), seconds)
    return Covering(lines, seconds)


def _add(lines: dict[str, dict[int, set[Ran]]], path: Path, passed: dict[str, float]) -> None:
    from coverage import CoverageData

    data = CoverageData(str(path))
    data.read()
    for module in lines.keys() & data.measured_files():
        for line, contexts in data.contexts_by_lineno(module).items():
            split = [context.rpartition("|") for context in contexts]
            ran = {Ran(test, phase == "setup") for test, _, phase in split if test in passed}
            lines[module].setdefault(line, set()).update(ran)
    data.close()

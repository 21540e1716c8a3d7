"""One part of the matrix: ``--shard 2/8`` runs it, writes down what passed with which versions, and resumes there."""

import json
import platform
import subprocess
import zlib
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]


def parse(shard: str) -> tuple[int, int]:
    """Part and number of parts of ``2/8``."""
    part, _, parts = shard.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise pytest.UsageError(f"--shard {shard} is not of the form i/n with 1 <= i <= n, as in 2/8")
    return int(part), int(parts)


def mine(test: str, part: int, parts: int) -> bool:
    """Whether a test belongs to a part; whatever is added elsewhere, it stays there."""
    return zlib.crc32(test.encode()) % parts == part - 1


def versions() -> dict[str, str]:
    """What a result holds for: the interpreter, the libraries that carry the engine, and Winnow's files."""

    def git(*arguments: str) -> str:
        return subprocess.run(("git", *arguments), cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    state, changed = git("rev-parse", "--short", "HEAD"), git("diff", "HEAD")
    libraries = {name: version(name) for name in ("torch", "transformers")}
    edited = f"+{zlib.crc32(changed.encode()):08x}" if changed else ""
    return {"python": platform.python_version()} | libraries | {"winnow": state + edited}


class Record:
    """Outcomes of the matrix under one set of versions, a line each."""

    def __init__(self, folder: Path, of: dict[str, str]) -> None:
        self.path = folder / ("_".join(f"{name}-{number}" for name, number in of.items()) + ".jsonl")

    def __iter__(self) -> Iterator[tuple[str, str]]:
        if self.path.exists():
            for line in self.path.read_text().splitlines():
                row = json.loads(line)
                yield row["test"], row["outcome"]

    def passed(self) -> list[str]:
        """Tests whose last outcome was good."""
        return [test for test, outcome in dict(self).items() if outcome != "failed"]

    def add(self, test: str, outcome: str) -> None:
        """Append one line."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as lines:
            lines.write(json.dumps({"test": test, "outcome": outcome}) + "\n")


class Shard:
    """The plugin: leaves out what is not of this part or has passed, and records what ends."""

    def __init__(self, config: pytest.Config, shard: str, record: Record) -> None:
        self.part, self.parts = parse(shard)
        self.shard, self.record = shard, record
        self.told: Any = getattr(config, "workerinput", None)
        self.done = set(record.passed() if self.told is None else self.told["done"])

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell each worker of a parallel session the same: the record grows while they collect."""
        node.workerinput["done"] = sorted(self.done)

    def split(self, tests: Iterable[str]) -> list[bool]:
        """Whether each test is still to be run here."""
        return [mine(test, self.part, self.parts) and test not in self.done for test in tests]

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """See `split`."""
        wanted = self.split(item.nodeid for item in items)
        config.hook.pytest_deselected(items=[item for item, keep in zip(items, wanted, strict=True) if not keep])
        items[:] = [item for item, keep in zip(items, wanted, strict=True) if keep]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a test when its body, or what it needed, has ended."""
        if self.told is None and (report.when == "call" or report.outcome != "passed"):
            self.record.add(report.nodeid, report.outcome)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what stands in the record."""
        outcomes = [outcome for test, outcome in dict(self.record).items() if mine(test, self.part, self.parts)]
        failed = outcomes.count("failed")
        good = len(outcomes) - failed
        terminalreporter.write_line(
            f"shard {self.shard}: {good} passed or skipped, {failed} failed: {self.record.path}"
        )

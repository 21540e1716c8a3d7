"""The parts of the whole matrix: together everything, once each, and again only what has not passed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from shard import Record, Shard, parse, versions

TESTS = [f"tests/test_a.py::test[{number}]" for number in range(200)]


def shard(part: str, record: Record, config: Any = None) -> Shard:
    return Shard(config or SimpleNamespace(), part, record)


def test_the_parts_are_a_partition(tmp_path: Path) -> None:
    record = Record(tmp_path, {"torch": "1"})
    splits = [shard(f"{part}/3", record).split(TESTS) for part in (1, 2, 3)]
    assert [sum(column) for column in zip(*splits, strict=True)] == [1] * len(TESTS)
    assert all(40 < sum(split) < 95 for split in splits)


def test_what_passed_is_not_run_again_and_what_failed_is(tmp_path: Path) -> None:
    record = Record(tmp_path, {"torch": "1"})
    plugin = shard("1/1", record)
    for test, outcome in zip(TESTS[:3], ("passed", "failed", "skipped"), strict=True):
        plugin.pytest_runtest_logreport(SimpleNamespace(nodeid=test, when="call", outcome=outcome))  # type: ignore[arg-type]
    plugin.pytest_runtest_logreport(SimpleNamespace(nodeid=TESTS[3], when="setup", outcome="passed"))  # type: ignore[arg-type]
    assert shard("1/1", record).split(TESTS[:4]) == [False, True, False, True]
    assert shard("1/1", Record(tmp_path, {"torch": "2"})).split(TESTS[:4]) == [True] * 4


def test_workers_leave_out_what_the_session_began_with(tmp_path: Path) -> None:
    """The record grows while they collect, and all must collect the same."""
    record = Record(tmp_path, {"torch": "1"})
    node = SimpleNamespace(workerinput={})
    shard("1/1", record).pytest_configure_node(node)
    record.add(TESTS[0], "passed")
    assert shard("1/1", record, SimpleNamespace(workerinput=node.workerinput)).split(TESTS[:1]) == [True]


@pytest.mark.parametrize("wrong", ["", "2", "0/4", "5/4", "1/0", "a/b", "-1/4"])
def test_a_part_that_cannot_be_is_one_line(wrong: str) -> None:
    with pytest.raises(pytest.UsageError, match="i/n"):
        parse(wrong)


def test_versions_name_libraries_and_the_state_of_the_files() -> None:
    assert set(versions()) == {"python", "torch", "transformers", "winnow"}
    assert versions()["winnow"]

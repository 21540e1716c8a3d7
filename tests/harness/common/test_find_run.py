"""A run is found by what a user calls it, and a name that is nearly one is told."""

from pathlib import Path

import pytest

from winnow.harness.common.find_run import find_run
from winnow.harness.sweep.status import evict_some, logs_of
from winnow.reducers.core.errors import WinnowError


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name in ("0a1b2c3d4e5f", "0a1bffffffff", "imported-9d8c7b6a"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "result.json").write_text("{}")
    return tmp_path


def test_prefixes_and_folders(runs: Path) -> None:
    for name in ("0a1b2", "0a1b2c3d4e5f", runs / "0a1b2c3d4e5f"):
        assert find_run(name, runs) == runs / "0a1b2c3d4e5f"
    with pytest.raises(WinnowError, match=r"0a1b means 2 runs: choose 0a1b2c3d4e5f \| 0a1bffffffff"):
        find_run("0a1b", runs)


@pytest.mark.parametrize(
    "look", [lambda name, runs: logs_of(name, runs, 9), lambda *of: list(evict_some(of[:1], of[1]))]
)
@pytest.mark.parametrize("name", ["0a1b2c3e4d5f", "0a1b3c"])
def test_what_was_meant(runs: Path, look: object, name: str) -> None:
    with pytest.raises(WinnowError, match=r"is no run in .*: did you mean 0a1b2c3d4e5f\? `winnow tables` lists them"):
        look(name, runs)  # type: ignore[operator]


def test_an_imported_run_has_no_logs(runs: Path) -> None:
    with pytest.raises(WinnowError, match="run imported-9d8c7b6a is imported: whoever computed it has its logs"):
        logs_of("imported-9d", runs, 9)


def test_logs_say_nothing_to_the_terminal(runs: Path) -> None:
    """What others wrote is shown, not obeyed."""
    (runs / "0a1bffffffff" / "failures.log").write_text("red \x1b[31m and\ttabs\n")
    (runs / "0a1bffffffff" / "env.json").write_text("[]")
    assert logs_of("0a1bf", runs, 9).splitlines()[-1] == "red \\x1b[31m and\ttabs"

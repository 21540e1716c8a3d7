"""Runs of pico in this process, on a benchmark that is written once per test session."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

sys.path.insert(0, str(Path(__file__).parent))


class Ran(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def fixtures(benchmark: Path) -> Path:
    """The miniatures of all benchmarks, in the same cache folder."""
    from winnow.harness.tasks.fixtures.write import ensure

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WINNOW_CACHE", str(benchmark))
        return ensure()


@pytest.fixture(autouse=True)
def _shared(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let runs of pico share what takes longer than they do, where loading and decoding are not what is asked about."""
    if "benchmark" in request.fixturenames and request.path.parent.name != "data":
        import kept
        from lent import Lent

        monkeypatch.setattr("winnow.harness.data.pool.Decoder", Lent)
        monkeypatch.setattr("winnow.harness.run.loaded.load", kept.load)
        monkeypatch.setattr("winnow.harness.data.documents.task_manager", kept.task_manager)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The folder of a test's runs."""
    return tmp_path / "runs"


@pytest.fixture
def run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], benchmark: Path, results: Path
) -> Callable[..., Ran]:
    """Give run.py's program some overrides, in this process; small batches of few documents unless told otherwise."""
    from winnow.harness.cli import run as app

    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))

    def go(*overrides: str) -> Ran:
        defaults = [f"results={results}", "limit=8", "batch_size=4"]
        names = {word.partition("=")[0] for word in overrides}
        words = [word for word in defaults if word.partition("=")[0] not in names]
        code = app.main([*overrides, *words])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return go

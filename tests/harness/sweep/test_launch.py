"""Sweeps on another launcher than Hydra's basic one: what is sent, and what is said of what comes back."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cells import cell
from omegaconf import OmegaConf

from winnow.harness.cli.run import main
from winnow.harness.common.exits import INCOMPLETE, RunFailedError
from winnow.harness.sweep.launch import send, task
from winnow.reducers.core.errors import WinnowError

JOBS = [["reducer=none", "ratio=0.5"], ["reducer=none", "ratio=0.25"], ["reducer=fastv", "ratio=0.5", "schedule=pico"]]


class Launcher:
    """Notes what it is given, and runs it in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, more: Sequence[str], error: Exception | None = None) -> None:
        self.sent: list[list[str]] = []
        self.monkeypatch, self.more, self.error = monkeypatch, more, error

    def launch(self, jobs: list[list[str]], initial_job_idx: int) -> list[Any]:
        self.sent = jobs
        if self.error:
            raise self.error
        for job in jobs:
            self.monkeypatch.setattr("sys.argv", ["run.py", *job, *self.more])
            assert main() == 0
        return []


@pytest.fixture
def more(results: Path, benchmark: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("WINNOW_CACHE", str(benchmark))
    return [f"results={results}", "limit=4"]


def test_each_cell_is_sent_once_and_finished_ones_never(
    more: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cells = [[cell(*job, *more)] for job in JOBS]
    launcher = Launcher(monkeypatch, more)
    send(launcher, JOBS, cells)
    assert launcher.sent == [JOBS[0], JOBS[2]]
    capsys.readouterr()
    again = Launcher(monkeypatch, more)
    send(again, JOBS, cells)
    assert not again.sent and "fastv" in capsys.readouterr().out


def test_mistakes_send_nothing_and_lost_jobs_are_one_line(more: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    launcher = Launcher(monkeypatch, more, RuntimeError("job 7 has not produced any output\nand more"))
    deep = ["reducer=fastv", "schedule.k=99"]
    with pytest.raises(WinnowError, match="99"):
        send(launcher, [deep], [[cell(*deep, *more)]])
    assert not launcher.sent
    with pytest.raises(RunFailedError, match="job 7 has not produced any output") as error:
        send(launcher, JOBS, [[cell(*job, *more)] for job in JOBS])
    assert error.value.code == INCOMPLETE


def test_a_job_runs_its_cells_where_it_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    class Config:
        overrides = OmegaConf.create({"task": ["reducer=none"]})
        runtime = OmegaConf.create({"choices": {"reducer": "none"}})

    ran: list[Any] = []
    monkeypatch.setattr("winnow.harness.sweep.launch.HydraConfig.get", lambda: Config)
    monkeypatch.setattr("winnow.harness.sweep.cells.cell_at", lambda job, known: job.choices["reducer"])
    monkeypatch.setattr("winnow.harness.sweep.in_process.run", lambda cells: ran.append(cells) or len(ran) - 1)
    task(OmegaConf.create({"table": {}}))
    with pytest.raises(RunFailedError) as error:
        task(OmegaConf.create({"table": {}}))
    assert error.value.code == INCOMPLETE and ran == [["none"], ["none"]]

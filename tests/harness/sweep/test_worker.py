"""When a worker ends, and with which code: a table, without a model or a run."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from winnow.harness.common.exits import BUSY, INCOMPLETE, OK
from winnow.harness.run.stop import Stop, StoppedError
from winnow.harness.sweep import worker
from winnow.harness.sweep.worker import Worker
from winnow.reducers.core.errors import WinnowError


class Share:
    """A sweep of two groups, of which so many cells are free, held by others, failed and refused."""

    def __init__(self, free: int = 0, held: int = 0, failed: bool = False, refused: bool = False) -> None:
        self.free, self.held, self._failed, self.parts = free, held, failed, 1
        self.refused = {"x"} if refused else set()

    def groups(self) -> list[list[int]]:
        return [[0], [1]]

    def left(self) -> bool:
        return self.free + self.held > 0

    def failed(self) -> bool:
        return self._failed


def worked(share: Share, wait: bool = False) -> int:
    found = Worker(share, Stop(), wait)  # type: ignore[arg-type]

    def some(group: Sequence[Any]) -> bool:
        if share.free:
            share.free -= 1
            return True
        return False

    found.some = some  # type: ignore[method-assign]
    return found._run_all()


@pytest.mark.parametrize(
    ("share", "code"),
    [
        (Share(), OK),
        (Share(free=3), OK),
        (Share(free=3, failed=True), INCOMPLETE),
        (Share(refused=True), INCOMPLETE),
        (Share(held=1), BUSY),
        (Share(free=3, held=1), BUSY),
        (Share(held=1, failed=True), INCOMPLETE),
        (Share(held=1, refused=True), INCOMPLETE),
    ],
)
def test_exit_codes(share: Share, code: int) -> None:
    assert worked(share) == code and share.free == 0


def test_a_worker_that_waits_takes_over_what_others_give_up(monkeypatch: pytest.MonkeyPatch) -> None:
    share, slept = Share(held=1), list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            share.held, share.free = 0, 1

    monkeypatch.setattr(worker.time, "sleep", sleep)
    assert worked(share, wait=True) == OK and len(slept) == 3


def test_a_worker_that_is_asked_to_stop_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = Stop()
    monkeypatch.setattr(stop, "raise_if_requested", lambda: (_ for _ in ()).throw(StoppedError("asked")))
    with pytest.raises(StoppedError):
        Worker(Share(free=1), stop).some([])  # type: ignore[arg-type]


def test_a_failure_names_its_run_once_and_says_nothing_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    run = SimpleNamespace(id="abc", folder=tmp_path / "abc", cell=SimpleNamespace(results=tmp_path), fail=said.append)
    worker._fail(run, WinnowError("run abc: its \x1b[31mjournal is damaged"))  # type: ignore[arg-type]
    assert said == [r"its \x1b[31mjournal is damaged"]
    assert capsys.readouterr().err == f"run abc failed: {said[0]}\n"

"""Local workers in this process: who is replaced, for how long, and the exit code of what is left."""

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from planned import sweep

from winnow.harness.common.exits import BUSY, INCOMPLETE, INTERRUPTED, OK, STOPPED, USER_ERROR
from winnow.harness.data.pool import CORES, own_cores
from winnow.harness.sweep import local
from winnow.harness.sweep.local import STRIKES, Crew, _close, run_local
from winnow.harness.sweep.manifest import Manifest
from winnow.harness.sweep.state import Kind, State
from winnow.reducers.core.errors import WinnowError

KILLED = -signal.SIGKILL


class Process:
    """A worker that ends when it is told to; a patient one ends only when it is killed."""

    def __init__(self, code: int | None = None, patient: bool = False) -> None:
        self.code, self.patient, self.said = code, patient, list[str]()

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.said.append("terminate")

    def kill(self) -> None:
        self.said.append("kill")

    def wait(self, timeout: float) -> None:
        if self.patient:
            raise subprocess.TimeoutExpired("worker", timeout)
        self.said.append("waited")


@pytest.fixture
def planned(tmp_path: Path) -> Manifest:
    made = sweep(tmp_path, "a", "b")
    made.logs.mkdir(parents=True)
    return made


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    """Every process that is started, in order."""
    made: list[Process] = []

    def start(command: list[str], **more: Any) -> Process:
        made.append(Process())
        made[-1].said.append(command[command.index("--index") + 1])
        return made[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    return made


def states(planned: Manifest, *kinds: Kind, answered: int = 0) -> list[State]:
    return [State(cell, kind, answered) for cell, kind in zip(planned.cells(), kinds, strict=True)]


def test_workers_share_the_cores_of_the_machine_and_their_decoders_know(
    planned: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each owns a third of eight, so that three workers' decoders do not all want the seven others."""
    told: list[dict[str, str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **more: told.append(more["env"]) or Process())
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    for name in (CORES, "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    Crew(planned, 3, [None] * 3, 1)
    assert [(each[CORES], each["OMP_NUM_THREADS"]) for each in told] == [("2", "2")] * 3 and own_cores() == 8
    monkeypatch.setenv(CORES, told[0][CORES])
    assert own_cores() == 2
    monkeypatch.setenv(CORES, "5")
    Crew(planned, 1, [None], 1)
    assert told[-1][CORES] == "5"  # the user's own word counts


@pytest.mark.parametrize("code", [OK, INCOMPLETE, USER_ERROR, BUSY, STOPPED])
def test_a_worker_that_ended_by_itself_is_not_replaced(planned: Manifest, started: list[Process], code: int) -> None:
    crew = Crew(planned, 2, [None, None], 1)
    started[0].code = code
    assert crew.tend(states(planned, "running", "running")) and len(started) == 2 and crew.codes == {code}
    started[1].code = OK
    assert not crew.tend(states(planned, "running", "running")) and crew.codes == {code, OK}


def test_a_killed_worker_is_replaced_in_its_place(planned: Manifest, started: list[Process], capsys: Any) -> None:
    crew = Crew(planned, 2, [None, None], 1)
    started[1].code = KILLED
    assert crew.tend(states(planned, "running", "running"))
    assert [process.said[0] for process in started] == ["0", "1", "1"] and crew.codes == set()
    assert "worker 1 was killed by SIGKILL: replaced" in capsys.readouterr().err


def test_workers_that_die_without_progress_are_replaced_some_times_only(
    planned: Manifest, started: list[Process]
) -> None:
    crew = Crew(planned, 1, [None], 1)
    here = states(planned, "running", "pending", answered=3)
    for _ in range(20):
        started[-1].code = KILLED
        if not crew.tend(here):
            break
    # The first kill counts as progress: something was answered since the start.
    assert len(started) == 1 + STRIKES and crew.codes == {KILLED}


def test_progress_makes_up_for_kills(planned: Manifest, started: list[Process]) -> None:
    crew = Crew(planned, 1, [None], 1)
    for done in range(3 * STRIKES):
        started[-1].code = KILLED
        assert crew.tend(states(planned, "running", "pending", answered=done))
    for _ in range(STRIKES - 1):  # a finished cell is progress, though its journal is gone
        started[-1].code = KILLED
        assert crew.tend(states(planned, "running", "pending", answered=1))
    started[-1].code = KILLED
    assert crew.tend(states(planned, "finished", "pending"))


def test_workers_are_asked_before_they_are_killed(planned: Manifest, started: list[Process]) -> None:
    crew = Crew(planned, 3, [None] * 3, 1)
    started[1].patient = True
    crew.processes[2] = None
    crew.stop()
    assert [process.said[1:] for process in started] == [["terminate", "waited"], ["terminate", "kill"], []]


CODES: list[tuple[tuple[Kind, Kind], set[int], int]] = [
    (("finished", "finished"), {OK}, OK),
    (("finished", "finished"), {KILLED, USER_ERROR}, OK),
    (("finished", "running"), {BUSY}, BUSY),
    (("running", "running"), {BUSY}, BUSY),
    (("finished", "failed"), {INCOMPLETE}, INCOMPLETE),
    (("running", "failed"), {BUSY}, INCOMPLETE),
    (("running", "pending"), {BUSY}, INCOMPLETE),
    (("finished", "pending"), {KILLED}, INCOMPLETE),
    (("pending", "failed"), {STOPPED}, INCOMPLETE),
]


@pytest.mark.parametrize(("kinds", "codes", "expected"), CODES)
def test_exit_codes(planned: Manifest, started: list[Process], kinds: Any, codes: set[int], expected: int) -> None:
    crew = Crew(planned, 1, [None], 1)
    crew.codes = codes
    assert _close(planned, crew, states(planned, *kinds)) == expected


def test_a_mistake_that_a_worker_found_is_told_with_its_own_words(planned: Manifest, started: list[Process]) -> None:
    crew = Crew(planned, 2, [None, None], 1)
    crew.codes = {USER_ERROR}
    crew.log(0).write_text("error: first\nerror: no space is left\nbye\n")
    crew.log(1).write_text("begin\n")
    with pytest.raises(WinnowError, match=r"^no space is left$"):
        _close(planned, crew, states(planned, "finished", "pending"))


def test_what_failed_and_what_is_left_is_named(planned: Manifest, started: list[Process], capsys: Any) -> None:
    crew = Crew(planned, 1, [None], 1)
    first, second = planned.cells()
    _close(planned, crew, [State(first, "failed", reason="broken"), State(second, "pending")])
    said = capsys.readouterr().err
    assert "cell a (label a) failed: broken" in said and "1 cell left" in said
    assert f"`winnow retry {planned.path.parent}`" in said


def test_a_run_looks_until_no_worker_is_left(planned: Manifest, started: list[Process], monkeypatch: Any) -> None:
    planned.cancel.parent.mkdir(exist_ok=True)
    planned.cancel.touch()
    looks = iter(range(3))

    def wait(seconds: float) -> None:
        for process in started:
            process.code = BUSY if next(looks) == 2 else None

    monkeypatch.setattr(local.time, "sleep", wait)
    assert run_local(planned, 1) == INCOMPLETE and len(started) == 1
    assert not planned.cancel.exists() and next(looks, None) is None


def test_an_interrupt_asks_the_workers_to_end(planned: Manifest, started: list[Process], monkeypatch: Any) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(local.time, "sleep", interrupt)
    assert run_local(planned, 2) == INTERRUPTED
    assert [process.said[1:] for process in started] == [["terminate", "waited"]] * 2

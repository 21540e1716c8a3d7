"""``winnow run``: worker processes on this machine, one GPU (or several) for each where there are GPUs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from winnow.harness.common.exits import BUSY, INCOMPLETE, INTERRUPTED, OK, USER_ERROR
from winnow.harness.data.pool import CORES
from winnow.harness.sweep.devices import devices, threads
from winnow.harness.sweep.manifest import Manifest
from winnow.harness.sweep.state import State, Watch, counts, number
from winnow.harness.sweep.sweepbar import sweepbar
from winnow.reducers.core.errors import WinnowError

LOOK = 1.0
"""Seconds between two looks at the store."""
STRIKES = 5
"""Times that workers may be killed without a document being answered in between; more than it takes to give one up."""
GRACE = 60.0
"""Seconds that workers have to end their batch after an interrupt."""


def run_local(manifest: Manifest, workers: int, gpus: int = 1, parts: int = 1, trust: bool = False) -> int:
    """Run a sweep with worker processes; one that is killed is replaced.

    Parameters
    ----------
    manifest : Manifest
    workers : int
    gpus : int
        GPUs of each worker, where there are any.
    parts : int
        In how many parts the documents of each cell are answered.
    trust : bool
        Whether workers may execute what the manifest names and Winnow does not register.

    Returns
    -------
    int
        `OK` if all cells are finished; `INCOMPLETE` if some failed or are left; `BUSY` if another process holds the
        rest; `USER_ERROR` if results cannot be written.
    """
    manifest.cancel.unlink(missing_ok=True)
    manifest.logs.mkdir(parents=True, exist_ok=True)
    crew = Crew(manifest, workers, devices(workers, gpus), parts, trust)
    watch = Watch(manifest)
    try:
        with sweepbar(watch.look(), workers) as show:
            while crew.tend(states := watch.look()):
                show(states)
                time.sleep(LOOK)
    except KeyboardInterrupt:
        crew.stop()
        return INTERRUPTED
    return _close(manifest, crew, watch.look())


class Crew:
    """The worker processes."""

    def __init__(
        self, manifest: Manifest, workers: int, visible: Sequence[str | None], parts: int, trust: bool = False
    ) -> None:
        self.manifest, self.visible, self.parts, self.trust = manifest, visible, parts, trust
        self.processes = [self._start(index) for index in range(workers)]
        self.codes: set[int] = set()
        self._strikes, self._progress = 0, -1

    def log(self, index: int) -> Path:
        """What a worker prints."""
        return self.manifest.logs / f"worker-{index}.log"

    def _start(self, index: int) -> subprocess.Popen[bytes] | None:
        words = [str(self.manifest.path), "--index", index, "--of", len(self.visible), "--parts", self.parts, "--wait"]
        command = [
            sys.executable,
            "-m",
            "winnow.harness.cli.main",
            "work",
            *map(str, words),
            *(["--trust"] if self.trust else []),
            "--parent",
            str(os.getpid()),
        ]
        own = {} if self.visible[index] is None else {"CUDA_VISIBLE_DEVICES": self.visible[index]}
        environment = os.environ | {name: value for name, value in own.items() if value is not None}
        environment["WINNOW_LOG"] = str(self.log(index))
        environment.setdefault("OMP_NUM_THREADS", str(threads(len(self.visible))))
        environment.setdefault(CORES, str(threads(len(self.visible))))
        with self.log(index).open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)

    def tend(self, states: Sequence[State]) -> bool:
        """Replace workers that were killed; return whether any is at work."""
        for index, process in enumerate(self.processes):
            code = None if process is None else process.poll()
            if code is None:
                continue
            self.processes[index] = None
            if code < 0 and self._may_replace(states):
                print(f"worker {index} was killed by {signal.Signals(-code).name}: replaced", file=sys.stderr)
                self.processes[index] = self._start(index)
            else:
                self.codes.add(code)
        return any(self.processes)

    def _may_replace(self, states: Sequence[State]) -> bool:
        """Whether something was answered since the last kill but `STRIKES`."""
        progress = sum(state.answered for state in states) + 10**9 * counts(states)["finished"]
        self._strikes = self._strikes + 1 if progress <= self._progress else 0
        self._progress = max(progress, self._progress)
        return self._strikes < STRIKES

    def stop(self) -> None:
        """Let every worker end its batch; kill those that do not."""
        deadline = time.monotonic() + GRACE
        living = [process for process in self.processes if process is not None]
        for process in living:
            process.terminate()
        for process in living:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()


def _close(manifest: Manifest, crew: Crew, states: Sequence[State]) -> int:
    """Say what is left, and find the exit code."""
    found = counts(states)
    for state in states:
        if state.kind == "failed":
            print(f"cell {state.planned.id} ({state.planned.label}) failed: {state.reason}", file=sys.stderr)
    if found["finished"] == len(states):
        return OK
    if USER_ERROR in crew.codes:
        lines = [line for index in range(len(crew.visible)) for line in crew.log(index).read_text().splitlines()]
        said = next((line for line in reversed(lines) if line.startswith("error: ")), f"see {manifest.logs}")
        raise WinnowError(said.removeprefix("error: "))
    if found["failed"]:
        print(f"`winnow retry {manifest.path.parent}` lets the failed cells be run again", file=sys.stderr)
    if found["pending"]:
        print(f"{number(found['pending'], 'cell')} left; see {manifest.logs}", file=sys.stderr)
    return BUSY if found["running"] and not found["failed"] and not found["pending"] else INCOMPLETE

"""Workers: each has one copy of the tree, and the process that forks a pytest in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from typing import TypeVar

SERVER = Path(__file__).with_name("server.py")
LATE = 124
"""Instead of an exit code: behind its time."""
Task = TypeVar("Task")
Found = TypeVar("Found")


@dataclass(frozen=True)
class Answer:
    """How a run of pytest ended: its exit code, minus a signal, or `LATE`."""

    code: int
    took: float
    output: str
    seconds: dict[str, float]
    failed: list[str]
    broken: list[str]


@dataclass
class Worker:
    """Runs pytest in its own copy, whose package stands before the installed one in child processes too."""

    tree: Path
    _server: subprocess.Popen[str] | None = field(default=None, init=False)

    def run(
        self,
        words: Sequence[str],
        *,
        limit: float,
        cpu: int,
        chosen: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        keep: bool = False,
    ) -> Answer:
        """Run pytest.

        Parameters
        ----------
        words : sequence of str
            Of its command line.
        limit, cpu : float
            Seconds of the clock, and of the CPU, that it may take.
        chosen : sequence of str
            The tests to take, in this order; empty: all.
        env : mapping or None
            Further variables of the environment.
        keep : bool
            Whether the benchmarks' data that it wrote are for later runs too; never behind a fault.
        """
        server = self._started()
        assert server.stdin and server.stdout
        request = {"words": [*words], "limit": limit, "cpu": cpu, "chosen": [*chosen], "env": {**(env or {})}}
        request |= {"data": str(self.tree.with_name("data")), "keep": keep}
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        said = server.stdout.readline()
        if not said:
            raise RuntimeError(f"the process that runs tests in {self.tree} has ended; see {self._log}")
        return Answer(**json.loads(said))

    def close(self) -> None:
        """End the process."""
        if self._server and self._server.stdin:
            self._server.stdin.close()
            self._server.wait()

    @property
    def _log(self) -> Path:
        return self.tree.with_suffix(".log")

    def _started(self) -> subprocess.Popen[str]:
        if self._server is None:
            env = {**os.environ, "PYTHONPATH": str(self.tree), "PYTHONDONTWRITEBYTECODE": "1"}
            with self._log.open("w") as log:
                pipe = subprocess.PIPE
                self._server = subprocess.Popen(
                    [sys.executable, "-P", SERVER],
                    cwd=self.tree,
                    env=env,
                    stdin=pipe,
                    stdout=pipe,
                    stderr=log,
                    text=True,
                )
        return self._server


def side_by_side(
    act: Callable[[Worker, Task], Found], tasks: Iterable[Task], workers: Sequence[Worker]
) -> Iterator[tuple[Task, Found]]:
    """Give each task to a worker that is free, and yield it with what was found, in the order of their ends."""
    free: SimpleQueue[Worker] = SimpleQueue()
    for worker in workers:
        free.put(worker)

    def go(task: Task) -> Found:
        worker = free.get()
        try:
            return act(worker, task)
        finally:
            free.put(worker)

    with ThreadPoolExecutor(len(workers)) as pool:
        pending = {pool.submit(go, task): task for task in tasks}
        try:
            for done in as_completed(pending):
                yield pending[done], done.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

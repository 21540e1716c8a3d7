"""Sweeps on a Slurm cluster: one job array, whose tasks are workers; see `docs/sweeps.md`.

Slurm only gives machines. Which cells are done is read from the store, never from the queue or its accounting: submitit
lets a task that raised end as COMPLETED, and many clusters keep no accounting.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from winnow.harness.common import files
from winnow.harness.config.trust import check_trust
from winnow.harness.sweep.manifest import JOBS, Manifest, load
from winnow.harness.sweep.state import Watch, counts, number
from winnow.reducers.core.errors import WinnowError

_JOB = re.compile("[0-9]{1,18}(_[0-9]{1,9})?")
TIMEOUTS = 10_000
"""Times that submitit may put a task that ran out of time back into the queue."""


@dataclass(frozen=True)
class Task:
    """What one task of the array runs; submitit pickles it.

    Attributes
    ----------
    manifest : str
    index, workers, parts : int
        As `winnow.harness.sweep.worker.Worker` takes them.
    trust : bool
        Whether it may execute what the manifest names by then and Winnow does not register.
    """

    manifest: str
    index: int
    workers: int
    parts: int = 1
    trust: bool = False

    def __call__(self) -> int:
        """Work until nothing is free; on SIGUSR2 let submitit requeue the task, but only between two batches."""
        from winnow.harness.common.exits import STOPPED
        from winnow.harness.run.stop import Stop
        from winnow.harness.sweep.work import work

        requeue = signal.getsignal(signal.SIGUSR2)
        manifest = load(Path(self.manifest))
        check_trust((one.cell for one in manifest.cells()), manifest.path, self.trust)
        _name_log()
        stop = Stop(manifest.cancelled).listen(signal.SIGUSR2)
        code = work(manifest, self.index, self.workers, stop, wait=False, parts=self.parts)
        if code == STOPPED and stop.signal is not None and callable(requeue):
            requeue(signal.SIGUSR2, None)
        return code

    def checkpoint(self) -> Any:
        """What to run after a requeue: the same, as everything answered is in the store."""
        import submitit

        return submitit.helpers.DelayedSubmission(self)


def _name_log() -> None:
    import submitit

    os.environ["WINNOW_LOG"] = str(submitit.JobEnvironment().paths.stderr)


def submit(
    manifest: Manifest,
    tasks: int | None,
    parallel: int,
    minutes: int,
    parts: int,
    options: dict[str, Any],
    trust: bool = False,
) -> str:
    """Send a sweep to Slurm as one array and return at once.

    Parameters
    ----------
    manifest : Manifest
    tasks : int or None
        Tasks of the array; by default as many as may run at a time, but no more than there are cells.
    parallel : int
        Tasks that may run at a time.
    minutes : int
        Time limit of a task; it goes back into the queue when it is over.
    parts : int
        In how many parts the documents of each cell are answered.
    options : dict
        More for submitit's Slurm executor.
    trust : bool
        See `Task`.

    Returns
    -------
    str
        The id of the array.

    Raises
    ------
    WinnowError
        If nothing is left to be run, submitit or Slurm is missing, or Slurm refuses.
    """
    submitit = _submitit()
    count = _tasks(manifest, tasks, parallel, parts)
    manifest.cancel.unlink(missing_ok=True)
    try:
        executor = _executor(submitit.SlurmExecutor, manifest, parallel, minutes, options)
        with executor.batch():
            jobs = [executor.submit(Task(str(manifest.path), index, count, parts, trust)) for index in range(count)]
    except (submitit.core.utils.FailedJobError, ValueError, TypeError) as error:
        raise WinnowError(f"Slurm did not take the sweep: {' '.join(str(error).split())}") from error
    job: str = jobs[0].job_id.partition("_")[0]
    files.write_json(manifest.path.parent / JOBS, [*_jobs(manifest), job])
    return job


def script(
    manifest: Manifest, tasks: int | None, parallel: int, minutes: int, parts: int, options: dict[str, Any]
) -> str:
    """The file that `submit` gives to sbatch, which need not be on this machine; nothing is sent.

    Raises
    ------
    WinnowError
        As of `submit`.
    """
    submitit = _submitit(here=False)

    class Written(submitit.SlurmExecutor):  # type: ignore[name-defined]
        """Writes for a cluster from a machine that is none."""

        @classmethod
        def affinity(cls) -> int:
            return 1

    try:
        executor: Any = _executor(Written, manifest, parallel, minutes, options)
    except (ValueError, TypeError) as error:
        raise WinnowError(f"submitit does not take these options: {' '.join(str(error).split())}") from error
    executor.parameters["map_count"] = _tasks(manifest, tasks, parallel, parts)
    return str(executor._make_submission_file_text(executor._submitit_command_str, "dry"))


def _tasks(manifest: Manifest, tasks: int | None, parallel: int, parts: int) -> int:
    """How many tasks the array has."""
    found = counts(Watch(manifest).look())
    left = found["running"] + found["pending"]
    if not left:
        failed = f"; {number(found['failed'], 'cell')} failed: `winnow retry` lets them be run again"
        raise WinnowError(f"nothing of this sweep is left to be run{failed if found['failed'] else ''}")
    return min(tasks or parallel, left * parts)


def _executor(kind: Any, manifest: Manifest, parallel: int, minutes: int, options: dict[str, Any]) -> Any:
    executor = kind(folder=manifest.path.parent / "slurm", max_num_timeout=TIMEOUTS)
    given = {"job_name": "winnow", "time": minutes, "array_parallelism": parallel, "ntasks_per_node": 1} | options
    executor.update_parameters(**{name: value for name, value in given.items() if value is not None})
    return executor


def _submitit(here: bool = True) -> Any:
    try:
        import submitit
    except ImportError as error:
        raise WinnowError("submitit is not installed: say `pip install 'winnow-vlm[slurm]'`") from error
    if here and not submitit.SlurmExecutor.affinity() > 0:
        raise WinnowError("there is no Slurm on this machine (no sbatch): use a login node, or say `winnow run`")
    return submitit


def _jobs(manifest: Manifest) -> list[str]:
    path = manifest.path.parent / JOBS
    found = files.read_json(path) if path.exists() else []
    if not isinstance(found, list) or not all(isinstance(job, str) and _JOB.fullmatch(job) for job in found):
        raise WinnowError(f"{path} holds what are no ids of Slurm jobs: delete it, and cancel with scancel")
    return found


def cancel_jobs(manifest: Manifest) -> list[str]:
    """Take the arrays of a sweep off the queue; return those that there were."""
    jobs = _jobs(manifest)
    for job in jobs:
        try:
            subprocess.run(["scancel", job], check=False, capture_output=True, timeout=60)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"cannot cancel job {job}: {error}", file=sys.stderr)
    (manifest.path.parent / JOBS).unlink(missing_ok=True)
    return jobs

"""A fault is made in a worker's copy, and tests run until one fails."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from contextlib import ExitStack

from cosmic_ray.mutating import use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

from scripts.mutation.verdict import Verdict, judged
from scripts.mutation.worker import Answer, Worker

GRACE = 20
"""Seconds of the CPU that a trial may take beyond twice what its tests took; an endless loop takes longer."""


def attempt(fault: MutationSpec, tests: Sequence[str], seconds: float, worker: Worker) -> WorkResult:
    """Make a fault and run the tests, which took some seconds without it."""
    path = worker.tree / fault.module_path
    with ExitStack() as stack:
        made = use_mutation(path, get_operator(fault.operator_name)(), fault.occurrence)
        try:
            before, after = stack.enter_context(made)
        except Exception as error:  # as of a dotted name behind `except`
            return _result(Verdict.ERROR, f"Cosmic Ray cannot make it: {error}", "")
        if after is None:
            return _result(Verdict.ERROR, "Cosmic Ray does not find the place again", "")
        if not tests:
            return _result(Verdict.SURVIVED, "no test runs it", _changed(before, after))
        return _result(*judged(run(tests, seconds, worker)), _changed(before, after))


def run(tests: Sequence[str], seconds: float, worker: Worker) -> Answer:
    """Run tests until the first that fails."""
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    cpu = GRACE + round(2 * seconds)
    return worker.run(["-x", *files], limit=6 * cpu, cpu=cpu, chosen=tests)


def verdict(result: WorkResult) -> Verdict:
    """Read a result's verdict back."""
    return Verdict((result.output or "").partition("\n")[0])


def _result(found: Verdict, said: str, diff: str) -> WorkResult:
    outcome = TestOutcome.KILLED if found.noticed else TestOutcome.SURVIVED
    worker = WorkerOutcome.EXCEPTION if found is Verdict.ERROR else WorkerOutcome.NORMAL
    return WorkResult(worker, f"{found.value}\n{said}", outcome, diff)


def _changed(before: str, after: str) -> str:
    """The lines that differ, each with its sign."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    return "\n".join(line for line in lines if line[:1] in "+-" and line[:3] not in ("---", "+++"))

"""What an end of pytest says about a fault."""

from __future__ import annotations

import signal
from enum import Enum

from scripts.mutation.worker import LATE, Answer


class Verdict(Enum):
    """What became of a fault."""

    FAILED = "a test failed"
    BROKEN = "an import failed"
    ENDLESS = "the tests did not end"
    DIED = "the process died"
    SURVIVED = "survived"
    ERROR = "error"

    @property
    def noticed(self) -> bool:
        """Whether `make test` would be red."""
        return self not in (Verdict.SURVIVED, Verdict.ERROR)


def judged(answer: Answer) -> tuple[Verdict, str]:
    """Judge an end of pytest, and name what ended it.

    Any end that none of the tests explains, as that of a run without tests, is an error of the trial: it counts as
    nothing, is shown, and is tried again when the command is given again.
    """
    if answer.code == 0 and answer.seconds:
        return Verdict.SURVIVED, ""
    if answer.code in (1, 2) and answer.failed:
        return Verdict.FAILED, answer.failed[0]
    if answer.code in (1, 2) and answer.broken:
        return Verdict.BROKEN, answer.broken[0]
    if answer.code in (LATE, -signal.SIGXCPU):
        return Verdict.ENDLESS, ""
    if answer.code < 0 and answer.code != -signal.SIGKILL:  # which is the system's answer to a lack of memory
        return Verdict.DIED, signal.Signals(-answer.code).name
    return Verdict.ERROR, f"pytest ended with {answer.code}: {answer.output[-500:]}"

"""The wish to stop: a signal asks for it, and the work stops at the next place where nothing gets lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import FrameType

SELDOM = 1.0
"""Seconds between two questions to the reasons, which may look at a file."""


class StoppedError(Exception):
    """The work was asked to stop, and did so after bringing what was answered to the disk."""


class Stop:
    """Collects wishes to stop.

    Parameters
    ----------
    *reasons : callable
        Each gives a reason to stop, or an empty text; asked after a batch, at most once a second.
    """

    def __init__(self, *reasons: Callable[[], str]) -> None:
        self.reasons = reasons
        self.signal: int | None = None
        self._asked = float("-inf")

    def listen(self, *signals: int) -> Stop:
        """Let signals ask for it, instead of ending the process at once."""
        for number in signals:
            signal.signal(number, self._note)
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number

    @property
    def reason(self) -> str:
        """Why to stop; empty: go on."""
        if self.signal is not None:
            return f"{signal.Signals(self.signal).name} was received"
        if time.monotonic() - self._asked < SELDOM:
            return ""
        self._asked = time.monotonic()
        return next((reason for ask in self.reasons if (reason := ask())), "")

    def raise_if_requested(self) -> None:
        """Stop here, if it was asked for.

        Raises
        ------
        StoppedError
            Says why.
        """
        if reason := self.reason:
            raise StoppedError(reason)


def orphaned(parent: int) -> Callable[[], str]:
    """A reason to stop: the process that started this one is gone."""
    return lambda: "" if os.getppid() == parent else "the process that started this worker is gone"

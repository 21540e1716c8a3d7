"""Exit codes of `run.py` and `winnow`."""

from __future__ import annotations

from collections.abc import Iterable

from winnow.reducers.core.errors import WinnowError

OK, INCOMPLETE, USER_ERROR, BUSY, STOPPED, INTERRUPTED = 0, 1, 2, 3, 75, 130
"""Done; some documents failed; a mistake in the input; another process works on the cell; a worker that was asked to
stop (75: to be continued, as sysexits.h has it); Ctrl-C."""


def worst(codes: Iterable[int]) -> int:
    """The code of several cells together: what is incomplete is said before what another process still works on."""
    found = set(codes)
    return INCOMPLETE if INCOMPLETE in found else BUSY if BUSY in found else OK


class RunFailedError(WinnowError):
    """A run in place, for a remote launcher, that did not complete."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type, tuple[str, int]]:
        """Survive the way back from a worker process."""
        return type(self), (str(self), self.code)

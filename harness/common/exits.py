"""Exit codes of `run.py` and `winnow`."""

from __future__ import annotations

from winnow.reducers.core.errors import WinnowError

OK, INCOMPLETE, USER_ERROR, BUSY, STOPPED, INTERRUPTED = 0, 1, 2, 3, 75, 130
"""Done; some documents failed; a mistake in the input; another process works on the cell; a worker that was asked to
stop (75: to be continued, as sysexits.h has it); Ctrl-C."""


class RunFailedError(WinnowError):
    """A run in place, for a remote launcher, that did not complete."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code

    def __reduce__(self) -> tuple[type, tuple[str, int]]:
        """Survive the way back from a worker process."""
        return type(self), (str(self), self.code)

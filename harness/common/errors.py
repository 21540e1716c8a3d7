"""One line out of any exception."""

from __future__ import annotations

import sys

from winnow.harness.common.plain import visible
from winnow.reducers.core.errors import WinnowError

LONGEST = 300


def leave_out(error: BaseException) -> None:
    """Tell in one line what a command over many runs goes on without."""
    print(f"left out: {visible(first_line(error))}", file=sys.stderr)


def root_cause(error: BaseException) -> BaseException:
    """Find what went wrong first, behind retries and re-raised errors."""
    while True:
        last = getattr(error, "last_attempt", None)
        inner = last.exception() if last is not None else None
        deeper = inner or error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if deeper is None or isinstance(error, WinnowError):
            return error
        error = deeper


def first_line(error: BaseException) -> str:
    """Describe an exception in one line, for any terminal: its message if meant for users, else with its type."""
    lines = str(error).strip().splitlines()
    text = visible(lines[0][:LONGEST].strip()) if lines else ""
    if isinstance(error, WinnowError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__

"""Shows how far a run is: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

EVERY = 30.0
"""Seconds between two lines in a log."""

Advance = Callable[..., None]
"""Told of a number of things done, and of a few words about them."""


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Advance]:
    """Show the progress of one step on standard error.

    Parameters
    ----------
    what : str
        What is being done.
    total : int or None
        How many things it takes, if that is known.

    Yields
    ------
    callable
        To be told of each number of things done.
    """
    console = Console(file=sys.__stderr__)  # libraries are kept quiet by redirecting the other one
    if not console.is_terminal:
        yield _log(what, total)
        return
    columns = [SpinnerColumn(), TextColumn("{task.description}", markup=False)]
    if total is not None:
        columns += [BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()]
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)

        def advance(count: int, note: str = "") -> None:
            bar.update(task, advance=count, description=f"{what} {note}".rstrip())

        yield advance


def _log(what: str, total: int | None) -> Advance:
    done, last = 0, time.monotonic()

    def advance(count: int, note: str = "") -> None:
        nonlocal done, last
        done += count
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            print(f"{what}: {done} of {total} {note}".rstrip(), file=sys.stderr, flush=True)

    return advance

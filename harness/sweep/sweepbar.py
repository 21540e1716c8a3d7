"""Shows how far a sweep is: a bar and the running cells on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from winnow.harness.common.progress import EVERY
from winnow.harness.sweep.state import State, counts, duration, number, seconds_left, weigh

LINES = 12
"""Running cells that are shown one by one."""

Show = Callable[[Sequence[State]], None]


@contextmanager
def sweepbar(before: Sequence[State], workers: int) -> Iterator[Show]:
    """Show the progress of a sweep on standard error.

    Parameters
    ----------
    before : sequence of State
        How it stood at the beginning.
    workers : int

    Yields
    ------
    callable
        To be told of each new look at the states.
    """
    console = Console(file=sys.__stderr__)
    started, last = time.monotonic(), time.monotonic()

    def line(states: Sequence[State]) -> str:
        return summary(states, left(before, states, time.monotonic() - started, workers))

    def log(states: Sequence[State]) -> None:
        nonlocal last
        if time.monotonic() - last >= EVERY:
            last = time.monotonic()
            print(line(states), file=sys.stderr, flush=True)

    if not console.is_terminal:
        yield log
        return
    with Live(console=console, transient=True, auto_refresh=False) as live:
        yield lambda states: live.update(picture(states, line(states)), refresh=True)


def left(before: Sequence[State], states: Sequence[State], elapsed: float, workers: int) -> float | None:
    """Seconds until the end: at the pace so far, or as estimated before anything was done."""
    done, rest = weigh(states)
    worked = done - weigh(before)[0]
    return elapsed * rest / worked if worked > 0 else seconds_left(states, workers)


def summary(states: Sequence[State], seconds: float | None) -> str:
    """One line."""
    found = counts(states)
    words = [f"{found['finished']} of {number(len(states), 'cell')}"]
    words += [f"{count} {kind}" for kind, count in found.items() if kind != "finished" and count]
    if seconds is not None and found["finished"] + found["failed"] < len(states):
        words.append(f"about {duration(seconds)} left")
    return " · ".join(words)


def picture(states: Sequence[State], line: str) -> Group:
    """The bar and the running cells."""
    done, rest = weigh(states)
    table = Table.grid(padding=(0, 2))
    running = [state for state in states if state.kind == "running"]
    for state in running[:LINES]:
        cell = state.planned
        of = f" of {cell.documents}" if cell.documents else ""
        table.add_row(cell.id, cell.label, f"{state.answered}{of} documents")
    more = [Text(f"and {len(running) - LINES} more")] if len(running) > LINES else []
    return Group(Text(line), ProgressBar(total=done + rest, completed=done, width=60), table, *more)

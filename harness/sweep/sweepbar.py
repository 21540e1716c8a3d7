"""Shows how far a sweep is: a bar and the running cells on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from winnow.harness.common.plain import visible
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
    columns = BarColumn(), TextColumn("{task.description}", markup=False)
    with Progress(*columns, console=console, transient=True, auto_refresh=False) as bars:
        yield lambda states: draw(bars, states, line(states))


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


def draw(bars: Progress, states: Sequence[State], line: str) -> None:
    """Draw a bar for the sweep and one for each running cell."""
    for task in bars.task_ids:
        bars.remove_task(task)
    done, rest = weigh(states)
    bars.add_task(line, total=done + rest, completed=done)  # type: ignore[arg-type]
    running = [state for state in states if state.kind == "running"]
    for state in running[:LINES]:
        cell = state.planned
        of = f" of {cell.documents}" if cell.documents else ""
        words = visible(f"{cell.id}  {cell.label}  {state.answered}{of} documents")
        bars.add_task(words, total=cell.documents, completed=state.answered)
    if len(running) > LINES:
        bars.add_task(f"and {len(running) - LINES} more", total=None)
    bars.refresh()

"""What a terminal shows of a sweep."""

import io

import pytest
from cells import cell
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from winnow.harness.sweep.manifest import SweepCell
from winnow.harness.sweep.state import State
from winnow.harness.sweep.sweepbar import LINES, draw, left, summary


@pytest.fixture(scope="module")
def states() -> list[State]:
    planned = [SweepCell(f"run{i}", "fastv [0.25]", 10.0, 8, cell()) for i in range(LINES + 3)]
    return [State(planned[0], "finished"), *(State(one, "running", 2) for one in planned[1:])]


def test_a_bar_for_the_sweep_and_for_each_running_cell(states: list[State]) -> None:
    text = io.StringIO()
    console = Console(file=text, force_terminal=True, width=120, height=40, color_system=None)
    with Progress(
        BarColumn(), TextColumn("{task.description}", markup=False), console=console, auto_refresh=False
    ) as bars:
        for _ in range(2):  # a second look takes the place of the first
            draw(bars, states, summary(states, 60))
        assert [task.completed for task in bars.tasks][:2] == [10 + 2.5 * (LINES + 2), 2]
        assert len(bars.tasks) == 1 + LINES + 1
    said = text.getvalue()
    assert "1 of 15 cells · 14 running · about 1 min left" in said
    assert "run1  fastv [0.25]  2 of 8 documents" in said and "and 2 more" in said and "run13 " not in said


def test_time_left_is_at_the_pace_so_far(states: list[State]) -> None:
    before = [State(state.planned, "pending") for state in states]
    assert left(before, before, 5, 2) == pytest.approx(75)  # 15 cells of 10 s by two workers
    assert left(before, states, 9, 2) == pytest.approx(9 * 105 / 45)

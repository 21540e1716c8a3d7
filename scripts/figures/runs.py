"""Runs sweeps of pico into a store of results, from which every figure is read; a stored cell is not run again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

import winnow
from winnow.harness.cli import run as app
from winnow.harness.run.result import Result, results_below

CONTROLS = ("none", "blind", "random", "oracle")


@dataclass(frozen=True)
class Store:
    """One folder of runs for each section.

    Attributes
    ----------
    folder
        Where the sections lie.
    words
        Overrides of every run, such as ``limit=20``.
    other
        Weights of another seed.
    """

    folder: Path
    words: Sequence[str] = ()
    other: Path | None = None

    def sweep(self, section: str, *words: str) -> None:
        """Run every combination of the overrides that is not stored yet; the store's own words win."""
        named = {word.partition("=")[0]: word for word in (*words, *self.words)}
        code = app.main(["-m", *named.values(), f"results={self.folder / section}"])
        if code:
            raise SystemExit(f"{' '.join(words)}: exit code {code}")

    def results(self, section: str) -> list[Result]:
        """Return the finished runs of a section."""
        return [one for one in results_below(self.folder / section) if one["status"] == "complete"]

    def replay(self, section: str, *words: str) -> None:
        """Drop at random, with the given tasks, as many tokens as each method of the section did."""
        found = self.results(section)
        done = {one["knobs"].get("like") for one in found}
        tasks = next((word.removeprefix("tasks=") for word in words if word.startswith("tasks=")), "")
        like = [
            one["id"]
            for one in found
            if one["reducer"] not in CONTROLS and one["id"] not in done and _tasks_named(one) == tasks
        ]
        if like:
            self.sweep(section, "reducer=random", f"reducer.like={','.join(like)}", *words)

    def table(self, section: str) -> pd.DataFrame:
        """Return one row for each run and task, with the differences to random dropping."""
        return winnow.load_runs(self.folder / section)


def _tasks_named(result: Result) -> str:
    """Return the choice of tasks that a result's run was given."""
    names = [task["task"] for task in result["tasks"]]
    return "pico" if names == ["pico_video", "pico_image"] else names[0]

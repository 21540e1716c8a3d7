"""What a sweep saves: its cells in one process, as single commands, and through lmms-eval's command line.

    python scripts/bench.py sweep [--rival] model=pico schedule=pico limit=2 batch_size=1

runs eight methods at four ratios on a miniature benchmark; other words are overrides as `run.py` takes them. Every way
starts without results, decoded frames or cached answers. Single commands and lmms-eval's take turns, cell by cell, as
other programs may be running; seconds are of whole processes, by the clock and of the processor.
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from winnow.harness.tasks.catalogue import BENCHMARKS, folder_of, override
from winnow.harness.tasks.fixtures.write import ensure

ROOT = Path(__file__).resolve().parents[2]
TASK = "videomme"


class Seconds(NamedTuple):
    """What processes took."""

    wall: float = 0.0
    processor: float = 0.0

    def plus(self, other: Seconds) -> Seconds:
        """Add what others took."""
        return Seconds(self.wall + other.wall, self.processor + other.processor)


def timed(words: Sequence[str], place: Path) -> tuple[Seconds, str]:
    """Run a command that keeps its results and caches in a folder; return what it took and what it printed."""
    settings = {"WINNOW_CACHE": str(place / "cache"), "HF_HOME": str(ensure() / "home"), "HF_HUB_OFFLINE": "1"}
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, env=os.environ | settings, capture_output=True, text=True, check=False
    )
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return Seconds(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime), done.stdout


def ours(words: Sequence[str], place: Path) -> list[str]:
    """The command that runs cells."""
    return ["run.py", *words, f"tasks={TASK}", f"tasks.data={ensure()}", f"results={place / 'runs'}"]


def theirs(words: Sequence[str], place: Path) -> list[str]:
    """The command of lmms-eval that runs one cell on the same data."""
    known = {key: value for key, _, value in (word.partition("=") for word in words)}
    limit, size = known.pop("limit", "-1"), known.pop("batch_size", "1")
    benchmark = BENCHMARKS[TASK]
    path = override(TASK, ensure() / "mirror" / benchmark.repo)["dataset_path"]
    (place / "mine.yaml").write_text(f"include: {folder_of(benchmark) / TASK}.yaml\ntask: mine\ndataset_path: {path}\n")
    given = ",".join(f"{key}={value}" for key, value in known.items())
    return [
        "-m", "lmms_eval", "--model", "winnow", "--model_args", given, "--tasks", "mine", "--include_path", str(place),
        "--limit", limit, "--batch_size", size,
    ]  # fmt: skip


def measure(methods: str, ratios: str, words: Sequence[str], rival: bool) -> tuple[dict[str, Seconds], str]:
    """Run all cells every way; return what each took, and what the sweep said that it shared."""
    cells = itertools.product(methods.split(","), ratios.split(","))
    with tempfile.TemporaryDirectory() as folder:
        one, single, other = (Path(folder, name) for name in ("sweep", "single", "rival"))
        for place in (one, single, other):
            place.mkdir()
        swept, said = timed(ours(["-m", f"reducer={methods}", f"ratio={ratios}", *words], one), one)
        found = {"one sweep": swept}
        for method, ratio in cells:
            cell = [f"reducer={method}", f"ratio={ratio}", *words]
            ways = {"single": (ours(cell, single), single)}
            if rival:
                ways["lmms-eval"] = (theirs(cell, other), other)
            for name, (command, place) in ways.items():
                found[name] = found.get(name, Seconds()).plus(timed(command, place)[0])
    return found, "\n".join(line for line in said.splitlines() if line.startswith("videos decoded"))


def main(words: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--methods", default="random,uniform,grid,sequential,fastv,vas,pdrop,vcc")
    parser.add_argument("--ratios", default="0.5,0.25,0.2,0.1")
    parser.add_argument("--rival", action="store_true", help="lmms-eval's command line, too")
    given, rest = parser.parse_known_args(words)
    found, shared = measure(given.methods, given.ratios, rest, given.rival)
    print(shared)
    table = Table("way", "clock, s", "processor, s", "clock, sweep = 1", "processor, sweep = 1")
    for name, took in found.items():
        times = [part / whole for part, whole in zip(took, found["one sweep"], strict=True)]
        table.add_row(name, *(f"{part:.0f}" for part in took), *(f"{part:.1f}" for part in times))
    Console().print(table)

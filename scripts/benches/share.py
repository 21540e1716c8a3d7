"""What sharing prefills saves: cells of a sweep that prefill each by itself, and in one tree.

    python scripts/bench.py share [--row ROW ...] model.arch.vision.layers=2

Random weights at the shape of a 0.5B model; other words are overrides as `run.py` takes them (the tower runs once and
is not timed, so it may be short). What methods and their statistics take is told apart. B is the time that the layers
of the tree take by themselves; "by FLOPs" is how many times less is possible.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from transformers import BatchFeature

from scripts.benches.passes import layer_time, least, prefills
from winnow.harness.bench.prompts import Prompts
from winnow.harness.config.expand import expand
from winnow.harness.plan.build import build_method
from winnow.harness.plan.nominal import nominal
from winnow.harness.plan.tree import in_turn, shared_flops, trees
from winnow.harness.run.loaded import load_model
from winnow.harness.sweep.cells import cells_of
from winnow.models.engine import reuse_tower
from winnow.models.loading.load import Loaded
from winnow.reducers.core.base import Reducer

RATIOS = "ratio=0.5,0.25,0.2,0.1"
VAS = "reducer=vas", "reducer.trigger=1"
ROWS: dict[str, tuple[int, list[tuple[str, ...]], float]] = {
    "none, fastv, vas, pdrop": (5, [("reducer=none",), ("reducer=fastv,pdrop", RATIOS), (*VAS, RATIOS)], 1.35),
    "aim_poster_pruning": (17, [("experiment=aim_poster_pruning",)], 2.0),
    "vas, five r": (5, [(*VAS, "reducer.r=0.1,0.2,0.3,0.4,0.5")], 1.4),
    "eight methods": (
        5,
        [("reducer=none",), ("reducer=fastv,pdrop,random,uniform,grid,vcc", RATIOS), (*VAS, RATIOS)],
        1.2,
    ),
}
"""Frames of a prompt, so that 800 visual tokens enter the layers; the cells; how many times less is expected."""


def methods(rows: Sequence[Sequence[str]], words: Sequence[str]) -> list[Reducer]:
    """The methods that overrides give, on the model of `words`."""
    found = [cell for row in rows for cell in cells_of(expand([*row, *words]))]
    return [build_method(cell).reducer for cell in found]


def prompt(loaded: Loaded, model: Any) -> BatchFeature:
    """One prompt of random pixels."""
    with tempfile.TemporaryDirectory() as folder:
        made = Prompts(model, loaded, 1, Path(folder))
        return made.encode(made.decode())


def measure(words: Sequence[str], names: Sequence[str], repeats: int) -> Iterator[tuple[str, ...]]:
    """The rows of the table."""
    for name in names:
        frames, rows, expected = ROWS[name]
        long = [*words, f"model.frames={frames}", f"model.nominal.frames={frames}"]
        (cell,) = cells_of(expand(["reducer=none", *long]))
        found, described = methods(rows, long), nominal(cell.seen)
        plans = [described.plan(method) for method in found]
        ordered = [found[place] for place in in_turn(plans)]
        loaded = load_model(cell.seen)
        parts = loaded.family.parts(loaded.model)
        given = loaded.model, parts, prompt(loaded, cell.seen)
        with reuse_tower(loaded.model):
            prefills(*given, ordered[:1], share=False)  # warms up, and encodes once for all
            runs = [[prefills(*given, ordered, way) for way in (False, True)] for _ in range(repeats)]
        alone, shared = (least([run[way].llm for run in runs]) for way in (0, 1))
        own = " > ".join(f"{least([run[way].own for run in runs]):.2f}" for way in (0, 1))
        ran = runs[0][1].ran
        of = layer_time(parts, ran, 2 * repeats + 1)
        bound = sum(map(of, ran))
        once, single = shared_flops(described, trees(described, ordered))
        peaks = [max(run[way].bytes for run in runs) for way in (0, 1)]
        yield (
            name, str(len(found)), f"{alone:.2f}", f"{shared:.2f}", f"{alone / shared:.2f}", f"{expected:.2f}",
            f"{single / once:.2f}", f"{bound:.2f}", f"{shared / bound:.3f}", own, f"{peaks[1] / max(1, peaks[0]):.2f}",
        )  # fmt: skip


def main(words: Sequence[str]) -> None:
    """Print the table, row by row as it is measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="llava_ov_05b")
    parser.add_argument("--row", action="append", choices=list(ROWS), help="may be given again; by default all")
    parser.add_argument("--repeats", type=int, default=2, help="each way in turn; of each cell the least counts")
    parser.add_argument("--threads", type=int, default=1, help="more than are free spin, and are counted")
    given, more = parser.parse_known_args(words)
    torch.set_num_threads(given.threads)
    titles = ["cells", "number", "none, s", "trunk, s", "times less", "expected", "by FLOPs"]
    titles += ["B, s", "trunk / B", "methods, s", "memory"]
    table = Table(*titles)
    for row in measure([f"model={given.model}", "model.weights=random", *more], given.row or list(ROWS), given.repeats):
        table.add_row(*row)
        print(" | ".join(row), flush=True)
    Console(width=130).print(table)

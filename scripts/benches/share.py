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
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from transformers import BatchFeature

from scripts.benches.passes import LayerTimes, decodings, in_turns, prefills, typical
from winnow.harness.bench.prompts import Prompts
from winnow.harness.config.expand import expand
from winnow.harness.plan.build import build_method
from winnow.harness.plan.nominal import Nominal, nominal
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


DECODING = 5, [("reducer=fastv,pdrop,random", RATIOS), (*VAS, RATIOS)], 3.0
"""The cells that decode together, likewise."""
TOKENS = 32
"""Length of their answers."""


class Ready(NamedTuple):
    """A model with one prompt, and the methods in the order in which they take their turns."""

    loaded: Loaded
    prompt: Nominal
    inputs: BatchFeature
    methods: list[Reducer]


def ready(rows: Sequence[Sequence[str]], words: Sequence[str], frames: int) -> Ready:
    """Load the model that `words` name, and the methods that the rows' overrides give."""
    words = [*words, f"model.frames={frames}", f"model.nominal.frames={frames}"]
    (cell,) = cells_of(expand(["reducer=none", *words]))
    found = [build_method(one).reducer for row in rows for one in cells_of(expand([*row, *words]))]
    described, loaded = nominal(cell.seen), load_model(cell.seen)
    turns = in_turn([described.plan(method) for method in found])
    return Ready(loaded, described, prompt(loaded, cell.seen), [found[place] for place in turns])


def prompt(loaded: Loaded, model: Any) -> BatchFeature:
    """One prompt of random pixels."""
    with tempfile.TemporaryDirectory() as folder:
        made = Prompts(model, loaded, 1, Path(folder))
        return made.encode(made.decode())


def measure(words: Sequence[str], names: Sequence[str], repeats: int) -> Iterator[tuple[str, ...]]:
    """The rows of the table."""
    for name in names:
        frames, rows, expected = ROWS[name]
        loaded, described, inputs, methods = ready(rows, words, frames)
        parts = loaded.family.parts(loaded.model)
        given = loaded.model, parts, inputs
        with reuse_tower(loaded.model):
            prefills(*given, methods[:1], share=False)  # warms up, and encodes once for all
            whole = [prefills(*given, methods, way) for way in (False, True)]
            layers = LayerTimes(parts, whole[1].ran).rounds(1)
            runs = [in_turns(*given, methods, layers.measure) for _ in range(repeats)]
        alone, shared = (typical([run[way] for run in runs]) for way in (0, 1))
        own = " > ".join(f"{sum(one.own):.2f}" for one in whole)
        bound = sum(map(layers.at, whole[1].ran))
        once, single = shared_flops(
            described, trees(described, methods, [described.plan(method) for method in methods])
        )
        peaks = [one.bytes for one in whole]
        yield (
            name, str(len(methods)), f"{alone:.2f}", f"{shared:.2f}", f"{alone / shared:.2f}", f"{expected:.2f}",
            f"{single / once:.2f}", f"{bound:.2f}", f"{shared / bound:.3f}", own, f"{peaks[1] / max(1, peaks[0]):.2f}",
        )  # fmt: skip


def measure_decoding(words: Sequence[str]) -> str:
    """What decoding together saves."""
    frames, rows, expected = DECODING
    loaded, _, inputs, methods = ready(rows, words, frames)
    with reuse_tower(loaded.model):
        alone, joint = decodings(loaded.model, inputs, methods, TOKENS)
    return (
        f"decoding, {TOKENS} tokens of {len(methods)} cells: none {alone:.2f} s, all {joint:.2f} s, "
        f"{alone / joint:.2f} times less (expected {expected:.2f})"
    )


def main(words: Sequence[str]) -> None:
    """Print the table, row by row as it is measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", default="llava_ov_05b")
    parser.add_argument(
        "--row", action="append", choices=[*ROWS, "decoding"], help="may be given again; by default all"
    )
    parser.add_argument("--repeats", type=int, default=3, help="each cell both ways in turn; the median counts")
    parser.add_argument("--threads", type=int, default=1, help="more than are free spin, and are counted")
    given, more = parser.parse_known_args(words)
    torch.set_num_threads(given.threads)
    titles = ["cells", "number", "none, s", "trunk, s", "times less", "expected", "by FLOPs"]
    titles += ["B, s", "trunk / B", "methods, s", "memory"]
    table = Table(*titles)
    words, rows = [f"model={given.model}", "model.weights=random", *more], given.row or [*ROWS, "decoding"]
    for row in measure(words, [name for name in rows if name in ROWS], given.repeats):
        table.add_row(*row)
        print(" | ".join(row), flush=True)
    if table.row_count:
        Console(width=130).print(table)
    if "decoding" in rows:
        print(measure_decoding(words), flush=True)

"""What sharing prefills saves: cells of a sweep that prefill each by itself, and in one tree.

    python scripts/bench.py share [--row ROW ...] model.arch.vision.layers=2

Random weights at the shape of a 0.5B model; other words are overrides as `run.py` takes them (the tower runs once and
is not timed, so it may be short). What methods and their statistics take is told apart. B is the time that the layers
of the tree take by themselves; "by FLOPs" is how many times less is possible.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from transformers import BatchFeature, DynamicCache

from winnow.harness.bench.clock import PREFILL, REDUCER, Clock, watched
from winnow.harness.bench.memory import peak_memory
from winnow.harness.bench.prompts import Prompts
from winnow.harness.config.expand import expand
from winnow.harness.plan.build import build_method
from winnow.harness.plan.nominal import nominal
from winnow.harness.plan.tree import in_turn, shared_flops, trees
from winnow.harness.run.loaded import load_model
from winnow.harness.sweep.cells import cells_of
from winnow.models.engine import Trunk, attach, reuse_tower
from winnow.models.engine.session import Session
from winnow.models.loading.load import Loaded
from winnow.models.transformers_api import CACHE
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
POINTS = 8
"""Numbers of tokens at which a layer is timed; between them a straight line holds."""


class Measured(NamedTuple):
    """One pass of all cells over one prompt.

    Attributes
    ----------
    llm, own : list of float
        Seconds of the LLM in each cell's prefill, and of what the method and its statistics take.
    bytes : int
        Peak memory above what was there.
    ran : list of int
        Tokens of each layer that was computed, if cells shared.
    """

    llm: list[float]
    own: list[float]
    bytes: int
    ran: list[int]


def methods(rows: Sequence[Sequence[str]], words: Sequence[str]) -> list[Reducer]:
    """The methods that overrides give, on the model of `words`."""
    found = [cell for row in rows for cell in cells_of(expand([*row, *words]))]
    return [build_method(cell).reducer for cell in found]


@torch.inference_mode()
def prefills(loaded: Loaded, inputs: BatchFeature, cells: Sequence[Reducer], share: bool) -> Measured:
    """Prefill one batch under each method in turn."""
    model: Any = loaded.model
    trunk, clock = Trunk(cells) if share else None, Clock(model.device, "cpu")
    phases = []
    with peak_memory(model.device) as peak, _layers(clock), watched(loaded.family.parts(model), clock):
        for cell in cells:
            with attach(model, cell, trunk=trunk):
                clock.start()
                model.generate(**inputs, do_sample=False, max_new_tokens=1)
                clock.stop()
            clock.wait()
            phases.append(clock.phases())
    llm, own = ([phase.get(name, 0.0) for phase in phases] for name in (PREFILL, REDUCER))
    return Measured(llm, own, peak.bytes or 0, trunk.ran if trunk is not None else [])


@contextmanager
def _layers(clock: Clock) -> Iterator[None]:
    """Charge layers that run on behalf of a tree to the LLM, though it is the engine that calls them."""
    before = Session.run_layer
    Session.run_layer = clock.charge(PREFILL, before)  # type: ignore[method-assign]
    try:
        yield
    finally:
        Session.run_layer = before  # type: ignore[method-assign]


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time()


@torch.inference_mode()
def layer_seconds(loaded: Loaded, n: int, repeats: int) -> float:
    """Seconds of one decoder layer at n tokens, the least of some passes."""
    llm: Any = loaded.family.parts(loaded.model).llm
    weight = next(llm.layers[0].parameters())
    hidden = torch.randn(1, n, llm.config.hidden_size, device=weight.device, dtype=weight.dtype)
    rotary = llm.rotary_emb(hidden, torch.arange(n, device=weight.device)[None])
    taken = []
    for number in range(repeats):
        layer = llm.layers[number % len(llm.layers)]
        started = _now(weight.device)
        layer(hidden, attention_mask=None, position_embeddings=rotary, **{CACHE: DynamicCache()})
        taken.append(_now(weight.device) - started)
    return min(taken)


def layer_time(loaded: Loaded, counts: Sequence[int], repeats: int) -> Callable[[int], float]:
    """Seconds of a decoder layer by its tokens."""
    points = sorted({round(n) for n in np.geomspace(min(counts), max(counts), POINTS)})
    known = [layer_seconds(loaded, n, repeats) for n in points]
    return lambda n: float(np.interp(n, points, known))


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
        inputs = prompt(loaded, cell.seen)
        with reuse_tower(loaded.model):
            prefills(loaded, inputs, ordered[:1], share=False)  # warms up, and encodes once for all
            runs = [[prefills(loaded, inputs, ordered, way) for way in (False, True)] for _ in range(repeats)]
        alone, shared = (_least([run[way].llm for run in runs]) for way in (0, 1))
        own = " > ".join(f"{_least([run[way].own for run in runs]):.2f}" for way in (0, 1))
        ran = runs[0][1].ran
        of = layer_time(loaded, ran, 2 * repeats + 1)
        bound = sum(map(of, ran))
        once, single = shared_flops(described, trees(described, ordered))
        peaks = [max(run[way].bytes for run in runs) for way in (0, 1)]
        yield (
            name, str(len(found)), f"{alone:.2f}", f"{shared:.2f}", f"{alone / shared:.2f}", f"{expected:.2f}",
            f"{single / once:.2f}", f"{bound:.2f}", f"{shared / bound:.3f}", own, f"{peaks[1] / max(1, peaks[0]):.2f}",
        )  # fmt: skip


def _least(seconds: Sequence[Sequence[float]]) -> float:
    """Of each cell the least of all passes, summed."""
    return sum(map(min, zip(*seconds, strict=True)))


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

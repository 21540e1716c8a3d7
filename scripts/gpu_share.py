"""What sharing prefills saves at a paper's full shape on a GPU, with random weights.

    python scripts/gpu_share.py [--models llava_ov] [--scale full] [--device cuda] [--dtype bfloat16] [--frames 16]

Needs torch and transformers alone. The first two rows of `scripts/bench.py share`: cells that prefill each by itself,
and in one tree, beside B, the time that the layers of the tree take by themselves. Seconds are those of the LLM by CUDA
events, what methods and their statistics take told apart; "possible" is how many times less the layers alone allow.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from scripts.benches.passes import LayerTimes, in_order, least, prefills
from scripts.gpu_check import EARLY, Subject, subject
from winnow.models.engine import reuse_tower
from winnow.reducers.aim import AIM
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.schedule import Window
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction
from winnow.reducers.pdrop import PDrop
from winnow.reducers.vas import VAS

RATIOS = (0.5, 0.25, 0.2, 0.1)
WINDOWS = (28, 29), (21, 29), (14, 29), (7, 29), (21, 22), (14, 22), (7, 22), (14, 15), (7, 15), (7, 8)
"""Layers where pruning begins and where nothing is left: the poster's rows, of 28 layers."""


def rows(depth: int) -> dict[str, list[Reducer]]:
    """The methods of each row; VAS starts earlier on shallow models."""
    vas = VAS(trigger=1) if depth > 12 else VAS(trigger=1, schedule=EARLY)
    kinds = FastV(), PDrop(), vas
    return {
        "none, fastv, vas, pdrop": [NoReduction(), *(replace(kind, ratio=ratio) for kind in kinds for ratio in RATIOS)],
        "aim_poster_pruning": [AIM(ratio=0.25, schedule=Window(*window, of=28)) for window in WINDOWS],
    }


def report(made: Subject, name: str, methods: Sequence[Reducer], repeats: int) -> None:
    """Print one row."""
    started, parts = time.perf_counter(), made.family.parts(made.model)
    with reuse_tower(made.model):
        first = prefills(made.model, parts, made.inputs, methods, share=False)
        turns = in_order(first, methods)
        ways = [[prefills(made.model, parts, made.inputs, turns, way) for way in (False, True)] for _ in range(repeats)]
    alone, shared = (least([way[at].llm for way in ways]) for at in (0, 1))
    own = " > ".join(f"{1e3 * least([way[at].own for way in ways]):.0f}" for at in (0, 1))
    of = LayerTimes(parts, first.ran).rounds(8).at
    single, bound = (sum(map(of, ways[0][at].ran)) for at in (0, 1))
    peaks = [max(way[at].bytes for way in ways) for at in (0, 1)]
    print(
        f"{name}: {len(methods)} cells, {max(first.ran)} tokens; {len(ways[0][1].ran)} of {len(first.ran)} layers run; "
        f"LLM none {1e3 * alone:.0f} ms, trunk {1e3 * shared:.0f} ms, {alone / shared:.2f} times less (possible "
        f"{single / bound:.2f}); B {1e3 * bound:.0f} ms, trunk / B {shared / bound:.3f}; methods {own} ms; memory "
        f"{peaks[1] / max(1, peaks[0]):.2f}; {time.perf_counter() - started:.0f} s in all",
        flush=True,
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--models", default="llava_ov")
    parser.add_argument("--scale", choices=["full", "tiny"], default="full")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--dtype", choices=["bfloat16", "float16", "float32"], default="bfloat16")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3, help="each way in turn; of each cell the least counts")
    args = parser.parse_args(words)
    torch.set_num_threads(1)  # on a CPU idle threads spin, and are counted
    machine = torch.cuda.get_device_name() if args.device.startswith("cuda") else "CPU"
    print(f"torch {torch.__version__}, {machine}, {args.dtype}, scale {args.scale}", flush=True)
    for model in args.models.split(","):
        made = subject(model, args, args.frames)
        print(model, flush=True)
        for name, methods in rows(len(made.family.parts(made.model).layers)).items():
            report(made, name, methods, args.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(main())

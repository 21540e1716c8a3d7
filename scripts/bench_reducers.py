"""What a method costs and wins in the prefill of a half-billion LLM on this machine: ratios, in one process.

    python scripts/bench_reducers.py [--frames 8] [--repeats 3] [--threads 1]

All methods run on the same random weights (Qwen2-0.5B shape) and the same prompt of about 1700 tokens, in turn, round
after round, so that drift hits all alike; each figure is the median over rounds of a ratio within a round. The vision
tower is kept out: only the LLM's prefill is timed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from harness.cost.physical import NAME, prefill_flops
from harness.cost.shape import LLMShape
from models.engine import attach, reuse_tower
from models.engine.prefill import Prefill
from models.engine.session import Session
from models.load import Loaded, ModelSpec, load
from models.prompt import Prompt
from reducers.aim import AIM
from reducers.base import Reducer
from reducers.fastv import FastV
from reducers.none import NoReduction
from reducers.pdrop import PDrop
from reducers.schedule import Cuts, K, Rounds, Window
from reducers.vas import VAS
from reducers.vtw import VTW

DEPTH = 24
ARCH: dict[str, Any] = {
    "llm": "qwen2",
    "layers": DEPTH,
    "hidden": 896,
    "heads": 14,
    "kv_heads": 2,
    "mlp": 4864,
    "vocab": 1024,
    "tied": True,
    "vision": {"layers": 1, "hidden": 32, "heads": 2, "mlp": 32, "image": 384, "patch": 14},
}
"""The LLM of LLaVA-OneVision-0.5B behind a tower that costs nothing; a small vocabulary, as only one row is needed."""

METHODS: dict[str, Reducer] = {
    "fastv k=2 25 %": FastV(ratio=0.25, schedule=K(2)),
    "vas": VAS(schedule=Rounds(start=6, end=-4, interval=3)),
    "aim both 25 %": AIM(ratio=0.25, schedule=Window(14, 22, of=28)),
    "vtw": VTW(schedule=K(15, of=32)),
    "pdrop": PDrop(schedule=Cuts((8, 16, 24), of=32)),
}


class Clock:
    """Seconds spent inside wrapped methods."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    @contextmanager
    def around(self, owner: type, *names: str) -> Iterator[None]:
        """Time every call of the methods `names` of `owner`; nested calls count once."""
        originals = {name: getattr(owner, name) for name in names}
        for name, original in originals.items():
            setattr(owner, name, self._timed(original))
        try:
            yield
        finally:
            for name, original in originals.items():
                setattr(owner, name, original)

    def _timed(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            self._depth += 1
            start = time.perf_counter()
            try:
                return call(*args, **kwargs)
            finally:
                self._depth -= 1
                if self._depth == 0:
                    self.seconds += time.perf_counter() - start

        return timed


@torch.no_grad()
def prefill(loaded: Loaded, inputs: Any, reducer: Reducer | None, **options: Any) -> tuple[float, float, list[int]]:
    """Seconds of one LLM prefill, seconds of it spent on probes, selection and gathering, and tokens per layer."""
    model: Any = loaded.model
    total, extra = Clock(), Clock()
    llm = type(loaded.family.parts(loaded.model).llm)
    if reducer is None:
        with total.around(llm, "forward"):
            model(**inputs, use_cache=True, logits_to_keep=1, **options)
        return total.seconds, 0.0, []
    with (
        extra.around(Session, "observe", "after_key_projection"),
        extra.around(Prefill, "reduce", "reduce_inside"),
        attach(model, reducer) as trace,
        total.around(llm, "forward"),
    ):
        model(**inputs, use_cache=True, logits_to_keep=1, **options)
    return total.seconds, extra.seconds, trace.prompts[0].tokens_per_layer


def main() -> None:
    """Time everything and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=8, help="frames of 196 tokens each")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    loaded = load(ModelSpec("llava_onevision", "", weights="random", arch=ARCH))
    video = np.random.default_rng(0).integers(0, 256, (arguments.frames, 384, 384, 3), dtype=np.uint8)
    text = "what happens in this video, and why? " * 3
    inputs = loaded.family.encode(loaded.processor, [Prompt(text, videos=[video])])
    with reuse_tower(loaded.model):
        rounds = [_round(loaded, inputs) for _ in range(arguments.repeats + 1)][1:]
    _print(rounds, int(inputs["input_ids"].shape[1]), arguments.threads)


def _round(loaded: Loaded, inputs: Any) -> dict[str, tuple[float, float, list[int]]]:
    """Every method once, between two runs of the plain model."""
    model: Any = loaded.model
    figures = {"plain": prefill(loaded, inputs, None), "keep all": prefill(loaded, inputs, NoReduction())}
    figures |= {name: prefill(loaded, inputs, reducer) for name, reducer in METHODS.items()}
    figures["plain again"] = prefill(loaded, inputs, None)
    model.set_attn_implementation("eager")
    figures["eager + output_attentions"] = prefill(loaded, inputs, None, output_attentions=True)
    model.set_attn_implementation("sdpa")
    return figures


def _print(rounds: list[dict[str, tuple[float, float, list[int]]]], tokens: int, threads: int) -> None:
    shape = LLMShape(DEPTH, ARCH["hidden"], ARCH["heads"], ARCH["kv_heads"], 64, ARCH["mlp"], ARCH["vocab"])
    full = prefill_flops(shape, [tokens] * DEPTH)
    table = Table(title=f"LLM prefill, {tokens} tokens, {DEPTH} layers, {threads} threads, {len(rounds)} rounds")
    for column in ("method", "time / plain", f"{NAME} FLOPs / plain", "probe+select+gather / plain", "probed layers"):
        table.add_column(column, justify="left" if column == "method" else "right")
    for name in rounds[0]:
        base = [(r["plain"][0] + r["plain again"][0]) / 2 for r in rounds]
        took = statistics.median(r[name][0] / b for r, b in zip(rounds, base, strict=True))
        extra = statistics.median(r[name][1] / b for r, b in zip(rounds, base, strict=True))
        layers = rounds[0][name][2]
        flops = f"{prefill_flops(shape, layers) / full:.3f}" if layers else ""
        probed = len({layer for _, layer in METHODS[name].probes(DEPTH)}) if name in METHODS else 0
        table.add_row(name, f"{took:.3f}", flops, f"{100 * extra:.2f} %" if layers else "", str(probed or ""))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()

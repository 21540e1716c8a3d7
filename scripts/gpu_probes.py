"""What importance costs without eager attention: probes against the plain prefill, at LLaVA-OneVision-7B's shape.

    python scripts/gpu_probes.py                                              # one GPU, 16 GB for the LLM's weights
    python scripts/gpu_probes.py --device cpu --tokens 256 --layers 2 --dtype float32 --repeats 1

Needs torch, transformers and, for the kernels, Triton. First the kernels are held against float64 on this device. Then
every probe that a method asks for is timed by itself, on random queries and keys of as many tokens as the method's plan
leaves in that layer (VAS: all of them, as its plan depends on the data), and summed over the method's probed layers;
the prefill is a random-weight Qwen2 of full depth, or of fewer layers whose time is scaled up.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import Qwen2Config, Qwen2Model

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from winnow.models.engine.kernels import chosen, kernels
from winnow.models.engine.signals import Signals
from winnow.models.engine.tap import tap
from winnow.reducers.aim import AIM
from winnow.reducers.aim_prune import AIMPrune
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Layout, Span
from winnow.reducers.core.probes import PageRank, Probe, Rows, page_rank, received_attention
from winnow.reducers.core.schedule import K, Rounds, Window
from winnow.reducers.fastv import FastV
from winnow.reducers.vas import VAS

DEPTH, FRAME, TEXT = 28, 196, 100
METHODS: dict[str, tuple[Reducer, float]] = {
    "FastV: last row of one layer": (FastV(ratio=0.5, schedule=K(2)), 1.0),
    "VAS: text rows of its layers": (VAS(schedule=Rounds(start=6, end=-4, interval=3)), 1.0),
    "AIM: PageRank behind merging to 25 %": (AIM(ratio=0.25, schedule=Window(14, 22)), 3.0),
    "AIM: PageRank, pruning alone": (AIMPrune(schedule=Window(14, 22)), 3.0),
}
"""Method and the share of the prefill, in %, that its probes should stay below."""
TILES = ((64, 64), (128, 64), (64, 128), (128, 128))


class Bench:
    """Times things on one device."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.device, self.repeats = torch.device(arguments.device), arguments.repeats
        self.dtype = getattr(torch, arguments.dtype)
        self.heads, self.kv_heads = arguments.heads, arguments.kv_heads
        self.hidden, self.mlp, self.layers = arguments.hidden, arguments.mlp, arguments.layers

    def wait(self) -> None:
        """Wait for the device."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], object]) -> float:
        """Median wall time of some work, device included, after a warm-up."""
        taken = []
        for _ in range(self.repeats + 1):
            self.wait()
            start = time.perf_counter()
            work()
            self.wait()
            taken.append(time.perf_counter() - start)
        return statistics.median(taken[1:])

    def attention(self, tokens: int) -> tuple[Tensor, Tensor, float]:
        """Random queries ``(1, heads, n, d)``, keys and the logits' scaling, in the layout of attention modules."""
        dim = self.hidden // self.heads
        torch.manual_seed(0)
        made = [torch.randn(1, tokens, heads, dim).to(self.device, self.dtype) for heads in (self.heads, self.kv_heads)]
        return made[0].transpose(1, 2), made[1].transpose(1, 2), dim**-0.5

    def llm(self) -> Any:
        """A decoder with random weights."""
        config = Qwen2Config(
            vocab_size=8,
            hidden_size=self.hidden,
            intermediate_size=self.mlp,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            max_position_embeddings=2**17,
        )
        config._attn_implementation = "sdpa"
        with torch.device(self.device):
            return Qwen2Model._from_config(config, dtype=self.dtype).eval()


def layout(tokens: int) -> Layout:
    """A prompt of one video and the text behind it."""
    frames = max(1, (tokens - TEXT) // FRAME)
    each = (tokens - TEXT) // frames
    return Layout(tokens, (Span(torch.arange(frames * each), frames, 1, each),))


def exact(bench: Bench) -> float:
    """Largest error of what this device computes against float64, over column mean and PageRank, on 777 tokens."""
    query, key, scaling = bench.attention(777)
    query, key = query[0], key[0]
    fast = kernels(query.device, query.dtype)
    rows = torch.arange(777)
    ours = [
        fast.received_attention(query, key, scaling) if fast else received_attention(query, key, rows, scaling),
        fast.page_rank(query, key, scaling) if fast else page_rank(query, key, scaling),
    ]
    wide = [x.cpu().double() for x in (query, key)]
    logits = wide[0] @ wide[1].repeat_interleave(len(query) // len(key), 0).mT * scaling
    logits.masked_fill_(torch.ones(777, 777).triu(1).bool(), float("-inf"))
    rank = torch.full((len(query), 1, 777), 1 / 777, dtype=torch.double)
    sharp = (logits / 0.1).softmax(-1)
    for _ in range(5):
        rank = rank @ sharp
    truth = [logits.softmax(-1).mean(0).sum(0), rank[:, 0].square().mean(0).sqrt()]
    return max(float((a.cpu() - b).abs().max()) for a, b in zip(ours, truth, strict=True))


def probe_seconds(bench: Bench, probe: Probe, tokens: int) -> float:
    """One probe of one layer, from queries and keys to values on the CPU."""
    query, key, scaling = bench.attention(tokens)
    index = [torch.arange(tokens)]

    def work() -> None:
        Signals([(probe, 0)], [layout(tokens)]).observe(0, index, query, key, scaling)

    return bench.seconds(work)


def asked(reducer: Reducer, tokens: int) -> Iterator[tuple[Probe, int]]:
    """Each probe of a method at full depth, with the tokens that are left in its layer."""
    frames = (tokens - TEXT) // FRAME
    whole = frames * FRAME
    plan = [whole] * DEPTH if reducer.adaptive or not frames else reducer.plan([(frames, FRAME)], DEPTH)
    for probe, layer in reducer.probes(DEPTH):
        yield probe, tokens - whole + plan[layer]


def prefill_seconds(bench: Bench, model: Any, tokens: int, wanted: list[tuple[Probe, int]]) -> float:
    """One prefill, with probes tapped in and nothing dropped."""
    embeds = torch.randn(1, tokens, bench.hidden, device=bench.device, dtype=bench.dtype)
    index = [torch.arange(tokens)]
    modules = {layer.self_attn: number for number, layer in enumerate(model.layers)}
    probed = {module: number for module, number in modules.items() if number in {layer for _, layer in wanted}}

    def work() -> None:
        signals = Signals(wanted, [layout(tokens)])
        with torch.inference_mode(), tap(probed, lambda i, q, k, _, s: signals.observe(i, index, q, k, s)):
            model(inputs_embeds=embeds, use_cache=True)

    return bench.seconds(work)


def report(bench: Bench, model: Any, tokens: int) -> None:
    """Print one length's table."""
    scale = DEPTH / bench.layers
    plain = prefill_seconds(bench, model, tokens, []) * scale
    print(f"\n{tokens} tokens: plain sdpa prefill of {DEPTH} layers {1e3 * plain:.2f} ms")
    print(f"{'probes':<40}{'layers':>7}{'ms':>10}{'% of prefill':>14}{'target':>9}{'tapped in, nothing dropped':>28}")
    known: dict[tuple[Probe, int], float] = {}
    for name, (reducer, target) in METHODS.items():
        total = 0.0
        needed = list(asked(reducer, tokens))
        for one in needed:
            known[one] = known[one] if one in known else probe_seconds(bench, *one)
            total += known[one]
        share = 100 * total / plain
        verdict = "met" if share < target else "missed"
        tapped = ""
        if bench.layers == DEPTH:
            whole = prefill_seconds(bench, model, tokens, list(reducer.probes(DEPTH)))
            tapped = f"{100 * (whole / plain - 1):+.2f} %"
        print(
            f"{name:<40}{len(needed):>7}{1e3 * total:>10.3f}{share:>12.3f} %{f'< {target:g} %':>9}"
            f"{tapped:>28} {verdict}"
        )
    for name, probe in (("one layer: column mean", Rows("all")), ("one layer: PageRank", PageRank())):
        once = probe_seconds(bench, probe, tokens)
        print(f"{name:<40}{1:>7}{1e3 * once:>10.3f}{100 * once / plain:>12.3f} %")


def compare(bench: Bench, tokens: int) -> None:
    """Print the kernel's tiles beside the portable form."""
    query, key, scaling = bench.attention(tokens)
    query, key = query[0], key[0]
    fast = kernels(query.device, query.dtype)
    print(f"\nPageRank of {tokens} tokens, ms: torch {1e3 * bench.seconds(lambda: page_rank(query, key, scaling)):.3f}")
    for tile in TILES if fast is not None else ():
        assert fast is not None
        taken = bench.seconds(lambda tile=tile: fast.page_rank(query, key, scaling, tile=tile))  # type: ignore[misc]
        print(f"  triton, tile {tile}: {1e3 * taken:.3f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=int, nargs="+", default=[6372, 9508], help="lengths of the prompt")
    parser.add_argument("--layers", type=int, default=DEPTH, help="layers of the LLM that is timed")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--dtype", default="bfloat16")
    parser.add_argument("--repeats", type=int, default=10)
    for name, value in (("hidden", 3584), ("heads", 28), ("kv-heads", 4), ("mlp", 18944)):
        parser.add_argument(f"--{name}", type=int, default=value)
    bench = Bench(parser.parse_args())
    name = torch.cuda.get_device_name(bench.device) if bench.device.type == "cuda" else "cpu"
    print(f"{name}, torch {torch.__version__}, {bench.dtype}, probes by {chosen(bench.device, bench.dtype)}")
    print(f"largest error against float64: {exact(bench):.1e}")
    with torch.inference_mode():
        model = bench.llm()
        for tokens in parser.parse_args().tokens:
            report(bench, model, tokens)
            compare(bench, tokens)


if __name__ == "__main__":
    main()

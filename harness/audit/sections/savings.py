"""What it saves: modelled FLOPs and KV cache, the best that could be won (Amdahl), and what a bench measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from winnow.harness.audit.card import Check, Curve, Judgement, Line, Measured
from winnow.harness.audit.measures.speed import amdahl
from winnow.harness.audit.runs import Ran, Runs
from winnow.harness.score.stats import median_interval

FLOPS, KV = "FLOPs of the LLM's prefill", "KV cache after the prefill"
BEST, OWN = "best speed-up of the whole prefill, were the LLM's layers free", "speed-up of the whole prefill, modelled"
TTFT, THROUGHPUT = "measured TTFT, against unreduced", "measured throughput, against unreduced"
LLM = "LLM layers"
"""Of the parts of a prefill, what methods shorten: `winnow.harness.plan.prefill.LLM`, whose module needs torch."""
ROUNDS = 6
"""Of a bench, for an interval of 95 % between order statistics."""
LACKING = {
    "measured time": "winnow bench {words} batch_size=1,2,4,8,16,32, and say --bench FOLDER if it is not results/bench"
}


def _measure(runs: Runs) -> Measured:
    method = runs["method"]
    lines = [*_modelled(method, runs["unreduced"]), *_measured(method)]
    points = [_point(one) for one in lines if one.what == THROUGHPUT]
    curves = [Curve("method", points, "batch size", "throughput, x unreduced")] if len(points) > 1 else []
    return Measured(lines, curves, {} if method.benches else LACKING)


def _modelled(method: Ran, base: Ran) -> Iterator[Line]:
    ours, whole = method.result["cost"], base.result["cost"]
    if not ours or not whole:
        return
    share, note = ours["tflops"] / whole["tflops"], f"modelled, {ours['profile']}"
    yield Line(FLOPS, 100 * share, "%", n=method.result["documents"], note=note)
    yield Line(KV, 100 * ours["kv_bytes"] / whole["kv_bytes"], "%", n=method.result["documents"], note="modelled")
    parts = ours.get("parts", {})
    if parts:
        total, note = sum(parts.values()), "modelled FLOPs of the nominal prompt"
        for name, flops in parts.items():
            yield Line(f"{name}, of the whole unreduced prefill", 100 * flops / total, "%", note=note)
        yield Line(BEST, amdahl(total, parts[LLM]), "x", note=note)
        yield Line(OWN, amdahl(total, parts[LLM], share), "x", note=f"{note}, as many tokens as its run kept")


def _measured(method: Ran) -> Iterator[Line]:
    for bench in sorted(method.benches, key=lambda one: one["batch"]):
        where = f"batch size {bench['batch']}"
        yield _median(TTFT, _ratios(bench, 0), where)
        throughput = 1 / _ratios(bench, bench["new_tokens"] - 1)
        yield _median(THROUGHPUT, throughput, where, "batching in one process, no server")


def _ratios(bench: Mapping[str, Any], steps: int) -> np.ndarray:
    """The method's seconds to the first token and so many more, over the unreduced model's, round by round."""
    ours, theirs = ([one["ttft"] + steps * (one["tpot"] or 0.0) for one in bench[side]] for side in ("rounds", "base"))
    return np.array(ours) / np.array(theirs)


def _median(what: str, values: np.ndarray, where: str, note: str = "") -> Line:
    middle, low, high, level = median_interval(values)
    note = "; ".join(filter(None, [note, f"median of {len(values)} rounds, {100 * level:.0f} % interval"]))
    return Line(what, middle, "x", low, high, len(values), on=where, note=note)


def _point(one: Line) -> tuple[float, float, float, float]:
    low, high = (one.value if bound is None else bound for bound in (one.low, one.high))
    return float(one.on.split()[-1]), one.value, low, high


def _judge(lines: Sequence[Line]) -> Judgement:
    known = {one.what: one for one in lines}
    if FLOPS not in known:
        return "open", "its run has no cost: no document was answered"
    says = f"{100 - known[FLOPS].value:.0f} % of the LLM's prefill FLOPs saved"
    if BEST in known:
        says += f"; with the tower no more than {known[BEST].value:.2f} x could be won, {known[OWN].value:.2f} x is"
    slow = [one for one in lines if one.what in (TTFT, THROUGHPUT) and _slower(one)]
    if slow:
        return "finding", f"{says}, yet {slow[0].what} is {slow[0].value:.2f} x at {slow[0].on}"
    if known[FLOPS].value >= 100:
        return "finding", "it saves no FLOPs"
    if TTFT not in known:
        return "open", f"{says}; no time was measured"
    return "sound", f"{says}; measured TTFT is {known[TTFT].value:.2f} x the unreduced model's"


def _slower(one: Line) -> bool:
    bound = one.low if one.what == TTFT else one.high
    return bound is not None and (one.n or 0) >= ROUNDS and (bound > 1 if one.what == TTFT else bound < 1)


CHECK = Check(
    "savings",
    "What it saves",
    "FLOPs that are not fewer, or a measured time or throughput that is worse than the unreduced model's",
    ("unreduced",),
    (),
    _measure,
    _judge,
)

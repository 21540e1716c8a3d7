"""What a method itself computes: as AIM's appendix counts it, and as Winnow's engine does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from winnow.harness.cost.method_ops import llm_ops
from winnow.reducers.core.probes import PageRank

if TYPE_CHECKING:
    from winnow.harness.plan.nominal import Nominal
    from winnow.reducers.core.base import Reducer

ITERATIONS = 5
"""Of AIM's PageRank."""
RANKING = "page_rank"


def ranking_flops(heads: int, lengths: Sequence[int], iterations: int = ITERATIONS) -> float:
    """Operations of AIM's importance: sharpened softmax, power iteration and norm, on the attention that is there.

    Parameters
    ----------
    heads : int
    lengths : sequence of int
        Tokens of each layer that ranks.
    iterations : int
    """
    return sum((6 + 2 * iterations) * heads * n * n + (2 * heads + 1) * n for n in lengths)


def overhead(reducer: Reducer, prompt: Nominal, parts: Sequence[str], papers: bool) -> float:
    """Count the operations of a method on its way to the LLM and inside it.

    Parameters
    ----------
    reducer : Reducer
    prompt : Nominal
    parts : sequence of str
        Names of the operators that count: ``merge``, ``page_rank``, ...
    papers : bool
        Importance by AIM's formula, or as executed here, where its attention is computed a second time beside a fused
        kernel, and half of it only.
    """
    visual = prompt.plan(reducer)
    ops = llm_ops(reducer, prompt.shape, [prompt.span], visual, prompt.text)
    flops = sum(op.flops for op in ops if op.name in parts and not (papers and op.name == RANKING))
    if not papers or RANKING not in parts:
        return flops
    ranked = [(probe, layer) for probe, layer in reducer.probes(prompt.shape.layers) if isinstance(probe, PageRank)]
    return flops + sum(
        ranking_flops(prompt.shape.heads, [visual[layer] + prompt.text], probe.iterations) for probe, layer in ranked
    )

"""What a reduction method itself computes: its probes, its matching and merging. Ranking and gathering are free.

The formulas are those of Winnow's engine, which computes a probe from queries and keys beside whatever attention kernel
the model runs, in float32. No cost column of the papers holds any of it; AIM lists its own apart (docs/cost.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from winnow.harness.cost.op import LINEAR_FLOPS, NORM_FLOPS, SOFTMAX_FLOPS, Op
from winnow.harness.cost.physical import pairs
from winnow.harness.cost.shape import LLMShape
from winnow.harness.cost.vision import TowerShape
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Grid, Width, pools
from winnow.reducers.core.probes import Ahead, Change, LookAhead, MeanQuery, PageRank, PeakRows, Probe, Raters, Rows
from winnow.reducers.core.tower import (
    ClsLogits,
    ClsRow,
    ColumnMean,
    Headless,
    PooledByHead,
    TextMatch,
    Tower,
    TowerProbe,
)

FLOAT = 4
"""Bytes of the float32 in which probes are computed."""
PASSES = 4
"""How often a score passes the memory: written by the product, read and written by the softmax, read by the sum."""

TEXT_BLOCKS, TEXT_WIDTH, TEXT_TOKENS = 12, 768, 77
"""The text tower of CLIP ViT-L/14, LLaVA's, and the tokens in which it reads a question of usual length."""


def llm_ops(
    reducer: Reducer, shape: LLMShape, spans: Sequence[Grid], visual: Sequence[int], text: int, width: float = 2
) -> Iterator[Op]:
    """List what a method computes on its way to the LLM and inside it.

    Parameters
    ----------
    reducer : Reducer
        The method.
    shape : LLMShape
        The LLM.
    spans : sequence of Grid
        The visual spans.
    visual : sequence of int
        Visual tokens that each layer processes.
    text : int
        Other tokens, all of which are taken to stand behind the visual ones.
    width : float
        Bytes per element of hidden states, queries and keys.
    """
    for probe, layer in reducer.probes(shape.layers):
        yield _probe(probe, shape.at(layer), visual[layer] + text, text, width)
    spans = pools(spans, reducer.scope)
    size, before = Width(shape.hidden, shape.head_dim), [sum(span.tokens for span in spans), *visual]
    for site in reducer.sites(shape.layers):
        present = before[site.first_without]
        flops = sum(reducer.work(site, span, _share(present, span, spans), size) for span in spans)
        if flops:
            yield Op("merge", flops, load=2 * present * shape.hidden * width, store=present * shape.hidden * width)


def _share(present: int, span: Grid, spans: Sequence[Grid]) -> int:
    """Tokens of one span, of those present in all."""
    return round(present * span.tokens / sum(other.tokens for other in spans))


def _probe(probe: Probe, shape: LLMShape, n: int, text: int, width: float) -> Op:
    keys = n * shape.kv_heads * shape.head_dim * width
    if isinstance(probe, PageRank):
        scores, more = pairs(n, causal=True), LINEAR_FLOPS * probe.iterations
        return _scored("page_rank", shape, scores, n, keys, width, more)
    if isinstance(probe, Ahead):
        rows = int(isinstance(probe, LookAhead | MeanQuery))
        row = _scored("look_ahead", shape, rows * n, rows, rows * keys, width)
        inner = (shape.heads + 2 * shape.kv_heads) * shape.head_dim
        projected = LINEAR_FLOPS * n * shape.hidden * inner + NORM_FLOPS * n * shape.hidden
        return Op(
            row.name, row.flops + projected, shape.hidden * inner * width, row.load, row.store + n * inner * width
        )
    if isinstance(probe, Rows):
        rows = {"last": 1, "text": text, "all": n}[probe.which]
        scores = pairs(n, causal=True) if probe.which == "all" else rows * n
        return _scored(f"rows_{probe.which}", shape, scores, rows, keys, width)
    if isinstance(probe, PeakRows):
        rows = text if probe.which == "text" else n - text
        scores = rows * n if probe.which == "text" else pairs(rows, causal=True)
        return _scored(f"peaks_{probe.which}", shape, scores, rows, keys, width)
    if isinstance(probe, Change):
        return Op("change", 3 * n * shape.hidden, load=2 * n * shape.hidden * width, store=FLOAT * n)
    if isinstance(probe, Raters):
        return _scored("raters", shape, text * n, text, keys, width)
    return Op("keys", 0.0)  # the layer computes them anyway


def _scored(name: str, shape: LLMShape, scores: float, rows: int, keys: float, width: float, more: float = 1) -> Op:
    """Attention weights of some rows, and `more` operations on each; the scores of one head are given."""
    moved = FLOAT * scores * shape.heads
    return Op(
        name,
        (LINEAR_FLOPS * shape.head_dim + SOFTMAX_FLOPS + more) * scores * shape.heads,
        load=PASSES / 2 * moved + rows * shape.heads * shape.head_dim * width,
        store=PASSES / 2 * moved,
        kv_load=keys,
    )


def tower_ops(
    reducer: Reducer, shape: TowerShape, tower: Tower, depth: int, frames: int, width: float = 2
) -> Iterator[Op]:
    """List what a method computes in the vision tower; arguments as in `llm_ops`, for `frames` frames."""
    kept, size = [tower.patches, *reducer.plan_tower(depth, tower)], Width(shape.hidden, shape.hidden // shape.heads)
    for probe, block in reducer.tower_probes(tower):
        yield _tower_probe(probe, shape, kept[min(block, tower.used)], frames, width)
    for site in reducer.sites(depth, tower):
        if not site.in_tower:
            continue
        state = frames * kept[site.number] * shape.hidden * width
        flops = frames * reducer.work(site, tower.grid, kept[site.number], size)
        if flops:
            yield Op("merge", flops, load=2 * state, store=state)


def _tower_probe(probe: TowerProbe, shape: TowerShape, tokens: int, frames: int, width: float) -> Op:
    state = frames * tokens * shape.hidden * width
    if isinstance(probe, Headless):
        scores = frames * tokens
        return Op("headless", LINEAR_FLOPS * scores * shape.hidden + SOFTMAX_FLOPS * scores, load=state)
    if isinstance(probe, ClsLogits):
        return Op("logits", LINEAR_FLOPS * frames * tokens * shape.hidden, load=state)
    if isinstance(probe, TextMatch):
        return _text_tower(shape, frames * tokens, width)
    if isinstance(probe, PooledByHead):
        return _pooling_head(shape, tokens, frames, width)
    if not isinstance(probe, ClsRow | ColumnMean):
        return Op("keys", 0.0)
    scores = frames * tokens * (1 if isinstance(probe, ClsRow) else tokens)
    flops = LINEAR_FLOPS * scores * shape.hidden + (SOFTMAX_FLOPS + 1) * scores * shape.heads
    moved = PASSES / 2 * FLOAT * scores * shape.heads
    return Op(type(probe).__name__.lower(), flops, load=2 * state + moved, store=moved)


def _text_tower(shape: TowerShape, patches: int, width: float) -> Op:
    """One question through the text tower, in float32; then norm, projection and product of the patches."""
    blocks = 12 * TEXT_BLOCKS * TEXT_WIDTH**2  # four projections, and an MLP four times as wide
    projections = (TEXT_WIDTH + shape.hidden) * TEXT_WIDTH
    read = LINEAR_FLOPS * (TEXT_TOKENS * blocks + TEXT_WIDTH**2 + 2 * TEXT_BLOCKS * TEXT_TOKENS**2 * TEXT_WIDTH)
    looked = patches * (NORM_FLOPS * shape.hidden + LINEAR_FLOPS * (shape.hidden + 1) * TEXT_WIDTH)
    weights = FLOAT * (blocks + projections)
    return Op("text_tower", read + looked, weights, patches * shape.hidden * width, FLOAT * patches * TEXT_WIDTH)


def _pooling_head(shape: TowerShape, tokens: int, frames: int, width: float) -> Op:
    """One more block of the tower, as LLaVA-OneVision's lacks, and the head with its one query, in float32."""
    hidden, n = shape.hidden, frames * tokens
    projections, mlp = 4 * hidden**2, 2 * hidden * shape.mlp
    block = LINEAR_FLOPS * n * (projections + mlp + 2 * tokens * hidden) + SOFTMAX_FLOPS * n * tokens * shape.heads
    head = LINEAR_FLOPS * (n * (projections / 2 + 2 * hidden) + frames * (projections / 2 + mlp))
    around = NORM_FLOPS * 3 * n * hidden + SOFTMAX_FLOPS * n * shape.heads
    state = n * hidden
    return Op("pooling_head", block + head + around, 2 * FLOAT * (projections + mlp), state * width, FLOAT * state)

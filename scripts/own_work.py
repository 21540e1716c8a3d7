"""Time every method's own work at LLaVA-OneVision-0.5B's whole video prompt, as a share of the unreduced prefill.

32 frames of 196 tokens and 100 tokens of text, float32, one CPU thread, in process time (another's load does not
count): each method's probes and answers where it acts, in the tower with what its blocks have left, in the LLM with all
tokens present, against 24 times one decoder layer. Beside it the least that reading a block's mean attention takes on a
tower without CLS token: the products of its queries and keys, which fused attention hands to nobody. Methods that act
in layer after layer of the LLM are not timed.
``python scripts/own_work.py [METHOD ...] [FIELD=NUMBER ...]`` prints the table of docs/bench.md, of some methods with
other numbers.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import fields, replace
from functools import partial
from typing import Any

import torch
from transformers import Qwen2Config, Qwen2Model

from winnow.harness.bench.methods import methods
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.probes import (
    Ahead,
    Change,
    Keys,
    KeysAhead,
    PageRank,
    PeakRows,
    Raters,
    Rows,
    mean_query_attention,
    page_rank,
    peak_attention,
    rated_attention,
    received_attention,
)
from winnow.reducers.core.reduction import View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import ColumnMean, JoinedHeads, Tower, TowerKeys, TowerValues, TowerView
from winnow.reducers.core.tower_statistics import ROWS, cls_attention, cls_logits, joined_heads, mean_attention

FRAMES, SIDE, WIDTH, TEXT, DEPTH = 32, 14, 896, 100, 24
HEADS, KV, HEAD, MOST = 14, 2, 64, 3
TOWER = Tower(26, 26, 27, 27, cls=False, slots=SIDE * SIDE)
LAYOUT = Layout.of(FRAMES * SIDE * SIDE + TEXT, (20, (FRAMES, SIDE, SIDE)))


def seconds(work: Callable[[], object]) -> float:
    """Process time of a call, the least of two."""
    spent = []
    for _ in range(2):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return min(spent)


def prefill() -> float:
    """Process time of the unreduced LLM's prefill, from one layer's."""
    config = Qwen2Config(
        hidden_size=WIDTH, intermediate_size=4864, num_hidden_layers=1, num_attention_heads=HEADS,
        num_key_value_heads=KV, vocab_size=8,
    )  # fmt: skip
    model, states = Qwen2Model(config).eval(), torch.randn(1, LAYOUT.length, WIDTH)
    return DEPTH * seconds(lambda: model(inputs_embeds=states, use_cache=False))


def video() -> torch.Tensor:
    """Embeddings of eight scenes, in which half of the places hardly change."""
    scene = torch.randn(8, SIDE * SIDE, WIDTH)[torch.arange(FRAMES) * 8 // FRAMES]
    moving = torch.where(torch.rand(SIDE * SIDE) < 0.5, 1.0, 0.1)
    states = torch.randn(LAYOUT.length, WIDTH)
    states[LAYOUT.visual] = (scene + torch.randn(FRAMES, SIDE * SIDE, WIDTH) * moving[:, None]).flatten(0, 1)
    return states


def llm_probe(probe: object) -> tuple[Any, float]:
    """A statistic of an LLM layer, and its time; keys are there anyway."""
    query, key = torch.randn(HEADS, LAYOUT.length, HEAD), torch.randn(KV, LAYOUT.length, HEAD)
    rows = {"text": LAYOUT.question, "all": torch.arange(LAYOUT.length)}
    if isinstance(probe, Keys):
        return key.transpose(0, 1), 0.0
    if isinstance(probe, Ahead):
        states, layer = torch.randn(LAYOUT.length, WIDTH), torch.randn(WIDTH, (HEADS + 2 * KV) * HEAD)
        row = partial(mean_query_attention, query, key, 0.125)
        spent = seconds(lambda: states @ layer) + (0.0 if isinstance(probe, KeysAhead) else seconds(row))
        return key.transpose(0, 1) if isinstance(probe, KeysAhead) else torch.rand(LAYOUT.length), spent
    if isinstance(probe, Change):
        states = torch.randn(2, LAYOUT.length, WIDTH)
        return torch.rand(LAYOUT.length), seconds(lambda: (states[0] - states[1]).norm(dim=-1))
    if isinstance(probe, PageRank):
        work: Callable[[], Any] = lambda: page_rank(query, key, 0.125)  # noqa: E731
    elif isinstance(probe, Raters):
        work = lambda: rated_attention(query, key, LAYOUT.question, LAYOUT.visual, 0.125, probe.heads)  # noqa: E731
    else:
        which = probe.which if isinstance(probe, Rows | PeakRows) else "last"
        chosen = rows.get(which, torch.tensor([LAYOUT.length - 1]))
        summed = peak_attention if isinstance(probe, PeakRows) else received_attention
        work = lambda: summed(query, key, chosen, 0.125)  # noqa: E731
    return torch.rand(LAYOUT.length), seconds(work)


def tower_probe(probe: object, patches: int, length: int) -> tuple[Any, float]:
    """A statistic of a vision block with so many patches, for `length` tokens, and its time over all frames."""
    query, key = torch.randn(2, patches, 16, 72).transpose(1, 2)  # as a projection lays them
    if isinstance(probe, TowerKeys | TowerValues):
        return torch.randn(length, 16, 72), 0.0
    named: dict[str, Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]]
    named = {"ColumnMean": mean_attention, "ClsLogits": cls_logits, "JoinedHeads": joined_heads}
    attention = named.get(type(probe).__name__, cls_attention)
    told = torch.randn(2, patches, 1152) if isinstance(probe, JoinedHeads) else torch.rand(length)
    return told, FRAMES * seconds(lambda: attention(query, key, 0.118))


def products(reducer: Reducer) -> float:
    """Process time of the products of queries and keys alone in the blocks whose mean attention is read."""
    present, spent = [TOWER.patches, *reducer.plan_tower(DEPTH, TOWER)], 0.0
    for probe, block in reducer.tower_probes(TOWER):
        if isinstance(probe, ColumnMean):
            query, key = torch.randn(2, present[block], 16, 72).transpose(1, 2)
            room = torch.empty(ROWS, present[block])
            spent += FRAMES * seconds(partial(_products, query, key, room))
    return spent


def _products(query: torch.Tensor, key: torch.Tensor, room: torch.Tensor) -> None:
    for asking, asked in zip(query, key, strict=True):
        for block in asking.split(ROWS):
            torch.mm(block, asked.mT, out=room[: len(block)])


def _answer(reducer: Reducer, states: torch.Tensor, site: Site, told: dict[Any, Any], known: object) -> object:
    """What a method says of a prompt of which it knows what it told itself before."""
    return reducer.reduce(replace(View.of(LAYOUT, states, site, told), told=known))


def own(reducer: Reducer) -> float:
    """Process time of a method's probes and answers."""
    total = 0.0
    signals: dict[Any, Any] = {}
    frame: dict[Any, Any] = {}
    for probe, layer in reducer.probes(DEPTH):
        signals[probe, layer], spent = llm_probe(probe)
        total += spent
    in_tower = [site for site in reducer.sites(DEPTH, TOWER) if site.in_tower]
    present = [TOWER.patches, *reducer.plan_tower(DEPTH, TOWER)]
    for seen, block in reducer.tower_probes(TOWER):
        patches = present[block]
        frame[seen, block], spent = tower_probe(seen, patches, patches if in_tower else LAYOUT.length)
        total += spent
    for site in in_tower:
        states = torch.randn(present[site.number], 1152)
        total += FRAMES * seconds(partial(reducer.reduce, TowerView.of(site, states, frame)))
    states, known = video(), None
    for site in reducer.sites(DEPTH, TOWER):
        if not site.in_tower and site.kind != "decode":
            told = signals if site.number else {**signals, **frame}
            answer = partial(_answer, reducer, states, site, told, known)
            total += seconds(answer)
            known = getattr(answer(), "told", None)
    return total


def quarter(reducer: Reducer) -> Reducer:
    """The method at a quarter, where it has a ratio of its own."""
    asked: dict[str, Any] = {"ratio": 0.25}
    known = {field.name: field for field in fields(reducer)}
    return replace(reducer, **asked) if "ratio" in known and known["ratio"].default is not None else reducer


if __name__ == "__main__":
    torch.manual_seed(0)
    torch.set_num_threads(1)
    with torch.no_grad():
        whole, named = prefill(), [word for word in sys.argv[1:] if "=" not in word]
        said = [word.partition("=") for word in sys.argv[1:] if "=" in word]
        given: dict[str, Any] = {name: float(number) for name, _, number in said}
        print(f"The unreduced prefill: {whole:.0f} s\n\n| method | own work | products in the tower |\n{'| --- ' * 3}|")
        for name, method in methods().items():
            sites = method.sites(DEPTH, TOWER)
            if method.needs_relevance or not sites or len(method.sites(DEPTH)) > MOST:
                continue
            if name in (named or methods()):
                reducer = replace(quarter(method), **given)
                spent, least = own(reducer), products(reducer)
                print(f"| `{name}` | {100 * spent / whole:.2f} % | {100 * least / whole:.2f} % |", flush=True)

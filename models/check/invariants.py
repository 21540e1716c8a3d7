"""The eight invariants that every method must hold on every family."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from winnow.models.check.cases import BLIND, Case, placeholders
from winnow.models.check.oracle import oracle_logits
from winnow.models.check.pixels import replay_pixels
from winnow.models.check.replay import replay_features, replay_logits
from winnow.models.engine import Trace, attach
from winnow.models.engine.trace import Step
from winnow.models.transformers_api import ATTENTION_TABLE, LOOKUP, cache_of, held_keys
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Layout

STEPS = 3
TOLERANCE = 2e-4
"""On logits in float32, between two orders of the same sums."""


class InvariantError(Exception):
    """An invariant does not hold; the message says where and by how much."""


def keep_everything(case: Case) -> None:
    """1. Settings that keep everything leave the logits bit-identical."""
    everything = case.reducer.keep_all()
    if everything is None:
        return
    plain, kept = _plain(case), _generate(case, everything)[0]
    _demand(torch.equal(plain, kept), f"keeping everything changes logits by {_gap(plain, kept):.1e}")


def oracle(case: Case) -> None:
    """2. Prefill and decoding agree with the oracle of their kind, sample by sample.

    Masking out for drops with kept positions, a hook-free replay for everything else, and for all of a hybrid.
    """
    logits, trace, out = _reduced(case)
    parts = case.loaded.family.parts(case.loaded.model)
    features = _features(case, trace)
    for b, alone in enumerate(case.alone()):
        inputs = alone.encoded()
        answer, told = out.sequences[b, -STEPS:], trace.prompts[b]
        pixels = replay_pixels(case.loaded.model, parts, inputs, told)
        policies = {step.reduction.positions for step in told.steps}
        plain = not features and pixels is None and policies <= {"keep"}
        hybrid = case.loaded.family.full_every > 1  # where a masked token would still let states decay
        if plain and not hybrid and not any(_rewrites(step) for step in told.steps):
            expected = oracle_logits(case.loaded.model, parts, inputs, answer, told)
        else:
            given = _filled(told.layout, features) if features else pixels
            expected = replay_logits(case.loaded.model, parts, inputs, answer, told, given)
        gap = _gap(logits[b], expected)
        _demand(gap < TOLERANCE, f"sample {b} differs from the oracle by {gap:.1e}")


def cache_is_trace_is_plan(case: Case) -> None:
    """3. The lengths in the KV cache, in the trace and in the plan are the same."""
    _, trace, out = _reduced(case)
    cache = cache_of(out)
    keys = [held_keys(cache, layer) for layer in range(len(cache.layers))]
    widest = [max(counts) for counts in zip(*(p.tokens_per_layer for p in trace.prompts), strict=True)]
    held = [n if many is None else many - (STEPS - 1) for many, n in zip(keys, widest, strict=False)]  # some keep none
    _demand(held == widest[: len(held)], f"the cache holds {held} tokens per layer, the trace says {widest}")
    if case.reducer.adaptive:
        return
    tower = next((frames.tower for frames in trace.frames.values()), None)
    for prompt in trace.prompts:
        if tower is not None and prompt.layout.tiled:  # how many vectors fall into the padding shows afterwards
            continue
        planned = case.reducer.plan([span.grid for span in prompt.layout.spans], len(widest), tower)
        executed = prompt.visual_per_layer
        _demand(planned == executed, f"planned {planned} visual tokens per layer, kept {executed}")


def text_stays(case: Case) -> None:
    """4. Text is never dropped (unless the ablation asks), survivors are in order, what is gone stays gone."""
    for prompt in _reduced(case)[1].prompts:
        pairs = list(zip(prompt.tokens_per_layer, prompt.visual_per_layer, strict=True))
        text = {tokens - visual for tokens, visual in pairs}
        expected = prompt.layout.length - len(prompt.layout.visual)
        ablation = any(step.reduction.drop_text is not None for step in prompt.steps)
        _demand(ablation or text == {expected}, f"{text} tokens of text were processed, {expected} are in the prompt")
        falling = sorted(prompt.visual_per_layer, reverse=True) == prompt.visual_per_layer
        _demand(falling, f"visual tokens come back: {prompt.visual_per_layer}")
        seen = [int((prompt.last_layer >= layer).sum()) for layer in range(len(pairs))]
        _demand(seen == prompt.visual_per_layer, f"last layers {seen} against counts {prompt.visual_per_layer}")


def batch_is_singles(case: Case) -> None:
    """5. A batch of n answers like n batches of one."""
    together, trace, _ = _reduced(case)
    for b, alone in enumerate(case.alone()):
        logits, single, _ = _generate(alone, case.reducer)
        same = torch.equal(trace.prompts[b].last_layer, single.prompts[0].last_layer)
        _demand(same, f"sample {b} keeps other tokens in a batch than alone")
        gap = _gap(together[b], logits[0])
        _demand(gap < TOLERANCE, f"sample {b} differs from its own batch by {gap:.1e}")


def leaves_no_trace(case: Case) -> None:
    """6. After the context, also after an exception in it, the model is as it was."""
    before, hooks = _plain(case), _hooks(case)
    try:
        with attach(case.loaded.model, case.reducer):
            raise InterruptedError
    except InterruptedError:
        pass
    _demand(_hooks(case) == hooks, f"{_hooks(case)} hooks are on the model, {hooks} were before")
    _demand(LOOKUP not in vars(ATTENTION_TABLE), "the attention table is still tapped")
    _demand(torch.equal(before, _generate(case, None)[0]), "the model answers differently afterwards")


def no_picture_no_change(case: Case) -> None:
    """7. Without a visual span the method is an exact no-op."""
    blind = Case(case.loaded, case.reducer, BLIND)
    plain, kept = _plain(blind), _generate(blind, case.reducer)[0]
    _demand(torch.equal(plain, kept), f"a prompt without pictures changes by {_gap(plain, kept):.1e}")


def repeatable(case: Case) -> None:
    """8. The same key gives the same result."""
    first, second = _reduced(case)[0], _generate(case, case.reducer)[0]
    _demand(torch.equal(first, second), f"two runs differ by {_gap(first, second):.1e}")


INVARIANTS: dict[str, Callable[[Case], None]] = {
    check.__name__: check
    for check in (
        keep_everything,
        oracle,
        cache_is_trace_is_plan,
        text_stays,
        batch_is_singles,
        leaves_no_trace,
        no_picture_no_change,
        repeatable,
    )
}


Generation: TypeAlias = tuple[Tensor, Trace, Any]
"""Logits ``(batch, STEPS, vocabulary)``, trace, what generate returned."""


def _plain(case: Case) -> Tensor:
    """Logits of the model to which nothing is attached, now or when another method was tried on it."""
    logits: Tensor = case.once_for_all("plain", lambda: _generate(case, None)[0])
    return logits


def _reduced(case: Case) -> Generation:
    generation: Generation = case.once("reduced", lambda: _generate(case, case.reducer))
    return generation


@torch.no_grad()
def _generate(case: Case, reducer: Reducer | None) -> Generation:
    """Greedy answers of exactly `STEPS` tokens."""
    inputs = case.encoded()
    model: Any = case.loaded.model
    options: dict[str, Any] = {"do_sample": False, "max_new_tokens": STEPS, "min_new_tokens": STEPS, "pad_token_id": 0}
    options |= {"output_logits": True, "return_dict_in_generate": True, "suppress_tokens": placeholders(model)}
    if reducer is None:
        out, trace = model.generate(**inputs, **options), Trace()
    else:
        with attach(model, reducer, keys=case.keys, texts=case.texts) as trace:
            out = model.generate(**inputs, **options)
    return torch.stack(out.logits, 1), trace, out


def _rewrites(step: Step) -> bool:
    return step.reduction.weights is not None or step.reduction.drop_text is not None


def _features(case: Case, trace: Trace) -> dict[int, Iterator[Tensor]]:
    """What each vision tower filled in, frame by frame, replayed; empty if the method left the towers alone."""
    if not any(frames.reduced for frames in trace.frames.values()):
        return {}
    family = case.loaded.family
    parts = family.parts(case.loaded.model)
    outer: Any = parts.outer
    inputs, slots = case.encoded(), family.pooled_slots(outer.config)
    made = {}
    for tower, frames in trace.frames.items():
        pixels = family.pixels(inputs, tower)
        made[tower] = iter(replay_features(parts, pixels, frames, slots, tower, tower == 1 and family.video_cls))
    return made


def _filled(layout: Layout, features: Mapping[int, Iterator[Tensor]]) -> tuple[Tensor, Tensor] | None:
    """Prompt indices and vectors of what the towers filled in; a frame's CLS stands in front of its patches."""
    places: list[Tensor] = []
    vectors: list[Tensor] = []
    for span in layout.spans:
        for cells in span.cells:
            frame, positions = next(features[span.tower]), span.positions[cells[cells >= 0]]
            cls = positions[:1] - 1 if len(frame) > len(cells) else positions[:0]
            places += [cls, positions]
            vectors.append(frame[torch.cat([cells[: len(cls)], cells]) >= 0])
    return (torch.cat(places), torch.cat(vectors)) if vectors else None


def _hooks(case: Case) -> int:
    return sum(len(m._forward_pre_hooks) + len(m._forward_hooks) for m in case.loaded.model.modules())


def _gap(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().max())


def _demand(holds: bool, message: str) -> None:
    if not holds:
        raise InvariantError(message)

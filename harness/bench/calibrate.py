"""``winnow calibrate``: knobs that follow from a model's own behaviour on a few documents of a development split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from winnow.harness.common.progress import progress
from winnow.harness.config.cell import Cell
from winnow.harness.data.documents import Tasks
from winnow.harness.data.media import make_prompt
from winnow.harness.run.answer import batches
from winnow.harness.run.generate import Batch, encode
from winnow.harness.run.loaded import load_model
from winnow.models.engine import PromptTrace, attach
from winnow.models.loading.load import Loaded
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.schedule import K
from winnow.reducers.none import NoReduction
from winnow.reducers.vas import VAS
from winnow.reducers.vtw import VTW

STEPS = 12
"""Halvings of the interval in `bisect`: 1/4096 of it."""


def gather(cell: Cell) -> tuple[Loaded, list[Batch]]:
    """Load a cell's model and encode its documents."""
    with progress("loading"):
        tasks, loaded = Tasks(cell.tasks), load_model(cell.seen)
        documents = [document for name in cell.tasks.tasks for document in tasks.documents(name, cell.limit)]
    found = []
    for batch in batches(documents, cell.batch_size):
        prompts = [make_prompt(document.text, document.visuals(), cell.seen.frames) for document in batch]
        found.append(encode(loaded, batch, prompts))
    return loaded, found


def prefill(loaded: Loaded, batch: Batch, reducer: Reducer) -> tuple[Tensor, list[PromptTrace]]:
    """Prefill a batch under a method.

    Returns
    -------
    tuple
        Log-probabilities of the next token, ``(batch, vocabulary)``, and the traces.
    """
    model: Any = loaded.model
    texts = [document.text for document in batch.documents]
    with torch.inference_mode(), attach(model, reducer, texts=texts) as trace:
        logits = model(**batch.inputs, logits_to_keep=1).logits[:, -1]
    return logits.float().log_softmax(-1), list(trace.prompts)


def divergences(
    loaded: Loaded, found: Sequence[Batch], method: VTW, layers: Sequence[int], tick: Callable[[int], None]
) -> dict[int, float]:
    """Compare the next token's distribution under withdrawal at each layer with the unreduced one.

    Parameters
    ----------
    loaded : Loaded
    found : sequence of Batch
    method : VTW
        Without its layer.
    layers : sequence of int
        The K to try.
    tick : callable
        Told of each layer that is done.

    Returns
    -------
    dict
        K -> KL(p_K || p_full), averaged over documents.
    """
    whole = [prefill(loaded, batch, NoReduction())[0] for batch in found]
    kl = {}
    for layer in layers:
        withdrawn = replace(method, ratio=None, schedule=K(layer))
        pairs = [(prefill(loaded, batch, withdrawn)[0], full) for batch, full in zip(found, whole, strict=True)]
        kl[layer] = float(torch.cat([(ours.exp() * (ours - full)).sum(-1) for ours, full in pairs]).mean())
        tick(1)
    return kl


def first_within(kl: dict[int, float], eta: float) -> int:
    """Choose the first layer whose divergence is at most `eta`.

    Raises
    ------
    WinnowError
        If there is none; names the smallest.
    """
    for layer in sorted(kl):
        if kl[layer] <= eta:
            return layer
    least = min(kl, key=lambda layer: kl[layer])
    raise WinnowError(f"--eta {eta:g} is met by no layer: the least KL is {kl[least]:.3g} at k={least}; raise --eta")


def retention(loaded: Loaded, found: Sequence[Batch], reducer: Reducer) -> float:
    """Mean over documents and layers of the share of visual tokens processed, from real traces."""
    traces = [trace for batch in found for trace in prefill(loaded, batch, reducer)[1] if trace.visual]
    if not traces:
        raise WinnowError("the calibration documents have no pictures: choose other tasks")
    shares = [sum(trace.visual_per_layer) / len(trace.visual_per_layer) / trace.visual for trace in traces]
    return sum(shares) / len(shares)


def bisect(measure: Callable[[float], float], wanted: float, tol: float) -> tuple[float, float]:
    """Find the knob in (0, 1) at which a rising `measure` comes nearest to `wanted`.

    Returns
    -------
    tuple of float
        The knob, and what it attains.

    Raises
    ------
    WinnowError
        If the nearest value is further away than `tol`; names the attainable range.
    """
    low, high = 0.001, 0.999
    tried = {knob: measure(knob) for knob in (low, high)}
    ends = tried[low], tried[high]
    for _ in range(STEPS):
        middle = (low + high) / 2
        tried[middle] = measure(middle)
        low, high = (middle, high) if tried[middle] <= wanted else (low, middle)
    best = min(tried, key=lambda knob: abs(tried[knob] - wanted))
    if abs(tried[best] - wanted) > tol:
        raise WinnowError(
            f"--mean {wanted:g} is out of reach: these documents attain {ends[0]:.3g} to {ends[1]:.3g}, the nearest is "
            f"{tried[best]:.3g}; ask for a value in that range, change the schedule or raise --tol"
        )
    return best, tried[best]


def with_kept(method: VAS, knob: str, kept: float) -> VAS:
    """Set `ratio` to the share, or `r` to its complement."""
    return replace(method, ratio=kept, r=None) if knob == "ratio" else replace(method, ratio=None, r=1 - kept)

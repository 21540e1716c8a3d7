"""Computes the statistics that a method asked for, prompt by prompt and without padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from winnow.models.engine.fetched import Fetch, Told, onto
from winnow.models.engine.kernels import kernels
from winnow.reducers.core.errors import UnsupportedError
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.probes import (
    Change,
    HighestRows,
    Keys,
    KeysAhead,
    LookAhead,
    MeanQuery,
    PageRank,
    PeakRows,
    Probe,
    Raters,
    Rows,
    mean_query_attention,
    page_rank,
    peak_attention,
    rated_attention,
    raters,
    received_attention,
)
from winnow.reducers.core.tower import TowerProbe

Wanted = Sequence[tuple[Probe, int]]


@dataclass(frozen=True, eq=False)
class Around:
    """What stands around the tokens of a prompt in one layer's attention.

    Parameters
    ----------
    past : Tensor or None
        Which of the keys held before are real tokens, shape ``(batch, held)``; None: there are none.
    tail : int
        Columns behind the prompts.
    window : int or None
        How many tokens back a row sees; None: all.
    rotary : (Tensor, Tensor) or None
        Rotary cosine and sine of the tokens, ``(batch or 1, n, head_dim)``, where they are wanted.
    weighed : bool
        Whether attention adds anything to the logits of keys, which statistics do not know.
    """

    past: Tensor | None = None
    tail: int = 0
    window: int | None = None
    rotary: tuple[Tensor, Tensor] | None = None
    weighed: bool = False


ALONE = Around()
"""A prompt of its own."""


class Signals:
    """The statistics of one batch.

    Parameters
    ----------
    wanted : sequence of (Probe, int)
        What was asked for, with the layer of each.
    layouts : sequence of Layout
        One per prompt; prompts without visual tokens are left out.

    Attributes
    ----------
    extra : set of Probe
        What others want of the layer that is about to run; left out where it cannot be had.
    """

    def __init__(self, wanted: Wanted, layouts: Sequence[Layout]) -> None:
        self._wanted, self._layouts = wanted, layouts
        self.extra: set[Probe] = set()
        self.values = [Told() for _ in layouts]
        self.raters: list[Tensor | None] = [None for _ in layouts]

    def rate(self, index: Sequence[Tensor], hidden: Tensor, tail: int) -> None:
        """Find the raters of each prompt in what enters the LLM, ``(batch, n, width)``."""
        end = hidden.shape[1] - tail
        for b, (layout, here) in enumerate(zip(self._layouts, index, strict=True)):
            state, visual = hidden[b, end - len(here) : end], layout.is_visual[here]
            text = layout.is_question[here]
            if bool(visual.any()) and bool(text.any()):
                chosen = raters(*(state[mask.to(state.device)] for mask in (visual, text)))
                self.raters[b] = here[text][chosen]

    def read(self, told: Sequence[Mapping[tuple[TowerProbe, int], Tensor]]) -> None:
        """Add what the vision tower computed for each prompt."""
        for values, more in zip(self.values, told, strict=True):
            values.update(more)

    def observe(
        self, layer: int, index: Sequence[Tensor], query: Tensor, key: Tensor, scaling: float, around: Around = ALONE
    ) -> None:
        """Compute what is wanted of a layer's attention from its roped queries and keys.

        Parameters
        ----------
        layer : int
            The layer.
        index : sequence of Tensor
            Prompt indices present, per prompt; they stand in the last columns before the tail.
        query, key : Tensor
            Shapes ``(batch, heads, n, d)`` and ``(batch, kv_heads, held + n, d)``.
        scaling : float
            Factor on the logits.
        around : Around
            What stands before and behind them.
        """
        self._each(layer, index, query, key, scaling, around, (Rows, PeakRows, PageRank, Raters))
        self.keys(Keys(rope=True), layer, index, key, around.tail)

    def ahead(
        self, layer: int, index: Sequence[Tensor], query: Tensor, key: Tensor, scaling: float, around: Around
    ) -> None:
        """Compute what is wanted of a layer that is about to run."""
        self._each(layer, index, query, key, scaling, around, (LookAhead,))
        self.keys(KeysAhead(), layer, index, key, around.tail)

    def unturned(
        self, layer: int, index: Sequence[Tensor], query: Tensor, key: Tensor, scaling: float, around: Around
    ) -> None:
        """Compute what is wanted of a layer that is about to run from its queries and keys before RoPE."""
        self._each(layer, index, query, key, scaling, around, (MeanQuery,))

    def keys(self, probe: Keys | KeysAhead, layer: int, index: Sequence[Tensor], key: Tensor, tail: int = 0) -> None:
        """Keep a layer's keys, ``(batch, kv_heads, n, d)``, if they are wanted."""
        end = key.shape[2] - tail
        for b, layout in enumerate(self._layouts if probe in self._asked(layer, (Keys, KeysAhead)) else ()):
            if layout.spans:
                values = key[b, :, end - len(index[b]) : end].transpose(0, 1)
                self.values[b][probe, layer] = _spread(values, index[b], layout.length)

    def change(self, layer: int, index: Sequence[Tensor], before: Tensor, after: Tensor, tail: int = 0) -> None:
        """Compare what enters a layer with what enters the next one, both ``(batch, n, width)``, if that is wanted."""
        end = before.shape[1] - tail
        for b, layout in enumerate(self._layouts if self._asked(layer, (Change,)) else ()):
            if layout.spans:
                own = slice(end - len(index[b]), end)
                coming = Fetch((after[b, own].float() - before[b, own].float()).norm(dim=-1))
                self.values[b].put((Change(), layer), partial(_placed, coming, index[b], layout.length))

    def wants_ahead(self, layer: int, *kinds: type[Probe]) -> bool:
        """Whether something of these kinds is asked of `layer` before it runs that nobody has looked at yet."""
        asked = self._asked(layer, kinds)
        pictured = [known for known, layout in zip(self.values, self._layouts, strict=True) if layout.spans]
        return any((probe, layer) not in known for probe in asked for known in pictured)

    def _asked(self, layer: int, kinds: tuple[type[Probe], ...]) -> list[Probe]:
        own = [probe for probe, at in self._wanted if at == layer]
        return [probe for probe in dict.fromkeys([*own, *self.extra]) if isinstance(probe, kinds)]

    def _each(
        self,
        layer: int,
        index: Sequence[Tensor],
        query: Tensor,
        key: Tensor,
        scaling: float,
        around: Around,
        kinds: tuple[type[Probe], ...],
    ) -> None:
        for probe in self._asked(layer, kinds):
            for b, layout in enumerate(self._layouts):
                if not layout.spans:
                    continue
                q, k = _own(b, len(index[b]), query, key, around)
                with nullcontext() if (probe, layer) in self._wanted else suppress(UnsupportedError):
                    _check_window(layer, k.shape[1], around.window)
                    if around.weighed:
                        raise UnsupportedError(WEIGHED)
                    value = (
                        self._rated(probe, b, index[b], q, k, scaling, around)
                        if isinstance(probe, Raters)
                        else _value(probe, layout, index[b], q, k, scaling)
                    )
                    coming = Fetch(value)
                    self.values[b].put((probe, layer), partial(_placed, coming, index[b], layout.length))

    def _rated(
        self, probe: Raters, b: int, index: Tensor, query: Tensor, key: Tensor, scaling: float, around: Around
    ) -> Tensor:
        """Attention of a prompt's raters, shape ``(present,)``."""
        rows, visual = self.raters[b], self._layouts[b].is_visual[index]
        if rows is None or key.shape[1] > query.shape[1]:
            raise UnsupportedError("raters are text behind the pictures of one prompt: pass the conversation as one")
        rotary = None
        if probe.corrected and around.rotary is not None:
            end = around.rotary[0].shape[-2] - around.tail
            cos, sin = (x[b if len(x) > 1 else 0, end - len(index) : end] for x in around.rotary)
            rotary = cos, sin
        places = torch.isin(index, rows).nonzero().flatten()
        return rated_attention(query, key, places, visual.nonzero().flatten(), scaling, probe.heads, rotary)


WEIGHED = "merged tokens are weighed in attention, which no statistic knows of: let the other method act before"


def _placed(coming: Fetch, index: Tensor, length: int) -> Tensor:
    """Values that arrived, on the prompt axis."""
    return _spread(coming.wait(), index, length)


def _spread(values: Tensor, index: Tensor, length: int) -> Tensor:
    """Values of the tokens present, on the prompt axis."""
    full = values.new_zeros(length, *values.shape[1:])
    full[onto(index, values.device)] = values
    return full


def _own(b: int, n: int, query: Tensor, key: Tensor, around: Around) -> tuple[Tensor, Tensor]:
    """One prompt's queries ``(heads, n, d)``, and the keys ``(kv_heads, held + n, d)`` that they may see."""
    held, end = key.shape[2] - query.shape[2], query.shape[2] - around.tail
    own = key[b, :, held + end - n : held + end]
    if held and around.past is not None:
        real = onto(around.past[b, -held:], key.device)
        own = torch.cat([key[b, :, :held][:, real], own], 1)
    return query[b, :, end - n : end], own


def _check_window(layer: int, n: int, window: int | None) -> None:
    if window is not None and n > window:
        raise UnsupportedError(
            f"layer {layer} sees {window} of {n} tokens (sliding window), so that its attention cannot rank them all: "
            "let the method read another layer, or shorten the prompt"
        )


def _value(probe: Probe, layout: Layout, index: Tensor, query: Tensor, key: Tensor, scaling: float) -> Tensor:
    """One statistic of one prompt, shape ``(present,)``; a single row is a small product that needs no kernel."""
    fast, held = kernels(query.device, query.dtype), key.shape[1] - query.shape[1]
    if isinstance(probe, MeanQuery):
        visual = layout.is_visual[index].nonzero()
        seen = int(visual.max()) + 1 if len(visual) else 0
        paid = mean_query_attention(query[:, :seen], key[:, :seen], scaling)
        return torch.nn.functional.pad(paid, (0, len(index) - seen))
    if isinstance(probe, PageRank):
        if held:
            raise UnsupportedError("PageRank needs the queries of the whole conversation: pass all of it as one prompt")
        rank = page_rank if fast is None else fast.page_rank
        return rank(query, key, scaling, probe.temperature, probe.iterations)
    which = probe.which if isinstance(probe, Rows | PeakRows) else "last"
    voters, peaks = _voters(which, layout, index), isinstance(probe, PeakRows)
    if (
        fast is not None
        and not peaks
        and not held
        and len(voters) > 1
        and int(voters[-1] - voters[0]) == len(voters) - 1
    ):
        received = fast.received_attention(query, key, scaling, (int(voters[0]), int(voters[-1]) + 1))
    else:
        behind = torch.cat([query.new_zeros(len(query), held, query.shape[2]), query], 1) if held else query
        summed = partial(peak_attention, highest=isinstance(probe, HighestRows)) if peaks else received_attention
        received = summed(behind, key, voters + held, scaling)[held:]
    return received / len(index) if which == "all" else received


def _voters(which: str, layout: Layout, index: Tensor) -> Tensor:
    """Places in `index` of the query rows that vote."""
    if which == "last":
        return torch.tensor([len(index) - 1])
    if which == "text":
        return layout.is_question[index].nonzero().flatten()
    if which == "visual":
        return layout.is_visual[index].nonzero().flatten()
    return torch.arange(len(index))

"""Computes the statistics that a method asked for, prompt by prompt and without padding."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from winnow.models.engine.kernels import kernels
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.probes import Keys, LookAhead, PageRank, Probe, Rows, page_rank, received_attention

Wanted = Sequence[tuple[Probe, int]]


class Signals:
    """The statistics of one batch.

    Parameters
    ----------
    wanted : sequence of (Probe, int)
        What was asked for, with the layer of each.
    layouts : sequence of Layout
        One per prompt; prompts without visual tokens are left out.
    """

    def __init__(self, wanted: Wanted, layouts: Sequence[Layout]) -> None:
        self._wanted, self._layouts = wanted, layouts
        self.values: list[dict[tuple[Probe, int], Tensor]] = [{} for _ in layouts]

    def observe(self, layer: int, index: Sequence[Tensor], query: Tensor, key: Tensor, scaling: float) -> None:
        """Compute what is wanted of a layer's attention from its roped queries and keys.

        Parameters
        ----------
        layer : int
            The layer.
        index : sequence of Tensor
            Prompt indices present, per prompt; they stand in the last columns.
        query, key : Tensor
            Shapes ``(batch, heads, n, d)`` and ``(batch, kv_heads, n, d)``.
        scaling : float
            Factor on the logits.
        """
        self._each(layer, index, query, key, scaling, (Rows, PageRank))
        for probe in self._asked(layer, (Keys,)):
            if isinstance(probe, Keys) and probe.rope:
                self.keys(probe, layer, index, key)

    def ahead(self, layer: int, index: Sequence[Tensor], query: Tensor, key: Tensor, scaling: float) -> None:
        """Compute what is wanted of a layer that is about to run."""
        self._each(layer, index, query, key, scaling, (LookAhead,))

    def keys(self, probe: Keys, layer: int, index: Sequence[Tensor], key: Tensor) -> None:
        """Keep a layer's keys, ``(batch, kv_heads, n, d)``."""
        for b, layout in enumerate(self._layouts):
            if layout.spans:
                start = key.shape[2] - len(index[b])
                self._put(b, probe, layer, index[b], key[b, :, start:].transpose(0, 1))

    def wants_ahead(self, layer: int) -> bool:
        """Whether something is asked of `layer` before it runs."""
        return bool(self._asked(layer, (LookAhead,)))

    def _asked(self, layer: int, kinds: tuple[type[Probe], ...]) -> list[Probe]:
        return [probe for probe, at in self._wanted if at == layer and isinstance(probe, kinds)]

    def _each(
        self,
        layer: int,
        index: Sequence[Tensor],
        query: Tensor,
        key: Tensor,
        scaling: float,
        kinds: tuple[type[Probe], ...],
    ) -> None:
        for probe in self._asked(layer, kinds):
            for b, layout in enumerate(self._layouts):
                if layout.spans:
                    start = query.shape[2] - len(index[b])
                    q, k = query[b, :, start:], key[b, :, start:]
                    self._put(b, probe, layer, index[b], _value(probe, layout, index[b], q, k, scaling).cpu())

    def _put(self, b: int, probe: Probe, layer: int, index: Tensor, values: Tensor) -> None:
        """Store values of the tokens present on the prompt axis."""
        full = values.new_zeros(self._layouts[b].length, *values.shape[1:])
        full[index.to(values.device)] = values
        self.values[b][probe, layer] = full


def _value(probe: Probe, layout: Layout, index: Tensor, query: Tensor, key: Tensor, scaling: float) -> Tensor:
    """One statistic of one prompt, shape ``(present,)``; a single row is a small product that needs no kernel."""
    fast = kernels(query.device, query.dtype)
    if isinstance(probe, PageRank):
        rank = page_rank if fast is None else fast.page_rank
        return rank(query, key, scaling, probe.temperature, probe.iterations)
    which = probe.which if isinstance(probe, Rows) else "last"
    voters = _voters(which, layout, index)
    if fast is not None and len(voters) > 1 and int(voters[-1] - voters[0]) == len(voters) - 1:
        received = fast.received_attention(query, key, scaling, (int(voters[0]), int(voters[-1]) + 1))
    else:
        received = received_attention(query, key, voters, scaling)
    return received / len(index) if which == "all" else received


def _voters(which: str, layout: Layout, index: Tensor) -> Tensor:
    """Places in `index` of the query rows that vote."""
    if which == "last":
        return torch.tensor([len(index) - 1])
    if which == "text":
        return torch.isin(index, layout.question).nonzero().flatten()
    return torch.arange(len(index))

"""One prefill: the prompts of a batch on their way through the layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor

from models.engine.checks import check_reduction
from models.engine.sequence import Stage, compact_positions, pad_left, take
from models.engine.trace import PromptTrace, Recorder
from reducers.base import Reducer
from reducers.errors import WinnowError
from reducers.layout import Layout
from reducers.probes import Probe, Rows, received_attention
from reducers.reduction import Reduction, View

T = TypeVar("T")


class Prefill:
    """The state of a batch in prefill: who is present, what was measured, what each layer gets.

    Parameters
    ----------
    reducer : Reducer
        The method.
    layouts : sequence of Layout
        One per prompt.
    width : int
        Columns of the padded prompts.
    depth : int
        Layers of the LLM.
    keys, relevance : sequence
        See `attach`; with several sequences per prompt (beams, samples) each entry serves all of its prompt's.
    """

    def __init__(
        self,
        reducer: Reducer,
        layouts: Sequence[Layout],
        width: int,
        depth: int,
        keys: Sequence[str] = (),
        relevance: Sequence[Tensor | None] = (),
    ) -> None:
        batch = len(layouts)
        names = _spread(keys or [str(i) for i in range(batch)], batch, "keys")
        extras = _spread(relevance or [None] * batch, batch, "relevance")
        self.layouts = [replace(x, key=k, relevance=r) for x, k, r in zip(layouts, names, extras, strict=True)]
        self.reducer, self.width, self.depth = reducer, width, depth
        self.acting = set(reducer.layers(depth)) if any(x.spans for x in layouts) else set()
        self.wanted: dict[int, list[Probe]] = {}
        for rows, layer in reducer.probes(depth) if self.acting else ():
            self.wanted.setdefault(layer, []).append(rows)
        self.index = [torch.arange(x.length) for x in self.layouts]
        self.signals: list[dict[tuple[Probe, int], Tensor]] = [{} for _ in self.layouts]
        self.recorders = [Recorder(x) for x in self.layouts]
        self.stages: list[tuple[int, Stage]] = []
        self.entry: Stage | None = None

    @property
    def entry_width(self) -> int:
        """Columns of the sequence that layer 0 saw."""
        return self.width if self.entry is None else self.entry.columns.shape[1]

    def stage(self, layer: int) -> Stage | None:
        """What `layer` sees of the entry sequence; None: all of it."""
        return next((stage for start, stage in reversed(self.stages) if start <= layer), None)

    def record(self) -> None:
        """Note in the traces what the next layer processes."""
        for recorder, index in zip(self.recorders, self.index, strict=True):
            recorder.layer(index)

    def reduce(self, layer: int, hidden: Tensor, positions: Tensor | None) -> Tensor:
        """Ask the method at the input of `layer` and carry out its answers.

        Parameters
        ----------
        layer : int
            0 is the entrance.
        hidden : Tensor
            Shape ``(batch, n, width)``.
        positions : Tensor or None
            Position ids of the sequence that layer 0 saw, for renumbering.

        Returns
        -------
        Tensor
            Shape ``(batch, n', width)``; `hidden` itself if nothing goes.
        """
        answers = [self._answer(b, layer, hidden) for b in range(len(self.layouts))]
        if all(answer is None for answer in answers):
            return hidden
        if any(answer is not None and answer.weights is not None for answer in answers):
            hidden = hidden.clone()
        width, columns = hidden.shape[1], []
        for b, answer in enumerate(answers):
            before = self.index[b]
            local = torch.arange(len(before))
            if answer is not None:
                self._merge(b, hidden, answer)
                local = (~self.layouts[b].is_visual[before] | torch.isin(before, answer.keep)).nonzero().flatten()
                self.recorders[b].remove(before[~torch.isin(before, before[local])], layer)
            self.index[b] = before[local]
            columns.append(local + width - len(before))
        gathered, valid = pad_left(columns)
        compact = any(answer is not None and answer.positions == "compact" for answer in answers)
        self._push(layer, gathered, valid, compact, positions)
        return take(hidden, gathered, 1)

    def _answer(self, b: int, layer: int, hidden: Tensor) -> Reduction | None:
        layout, index = self.layouts[b], self.index[b]
        state = hidden[b, hidden.shape[1] - len(index) :]
        view = View(layout, index, state, layer, self.depth, self.recorders[b].removed_at, self.signals[b])
        answer = self.reducer.reduce(view) if len(view.visual) else None
        if answer is None:
            return None
        check_reduction(answer, view, self.reducer)
        return None if answer.weights is None and len(answer.keep) == len(view.visual) else answer

    def _merge(self, b: int, hidden: Tensor, answer: Reduction) -> None:
        """Write the merged tokens over their anchors, in place; the sums run in float32."""
        if answer.weights is None:
            return
        index, start = self.index[b], hidden.shape[1] - len(self.index[b])
        here = self.layouts[b].is_visual[index].nonzero().flatten()
        anchors = torch.searchsorted(index, answer.keep.contiguous())
        self.recorders[b].merge(index[here], answer.keep, answer.weights)
        merged = answer.weights.to(hidden.device, torch.float32) @ hidden[b, (here + start).to(hidden.device)].float()
        hidden[b, (anchors + start).to(hidden.device)] = merged.to(hidden.dtype)

    def _push(self, layer: int, columns: Tensor, valid: Tensor, compact: bool, positions: Tensor | None) -> None:
        """Add the stage that begins at `layer`, with its columns traced back to the entry sequence."""
        previous = self.stages[-1][1] if self.stages else None
        source = columns if previous is None else previous.columns.gather(1, columns)
        stage = Stage(source, valid)
        if compact or (previous is not None and previous.positions is not None):
            origin = torch.arange(self.entry_width)[None] if positions is None else positions.cpu()
            origin = origin.expand(len(columns), -1)
            if compact:
                first = origin.gather(1, source).gather(1, valid.long().argmax(1)[:, None])[:, 0]
                renumbered = compact_positions(first, valid)
            else:
                assert previous is not None and previous.positions is not None
                renumbered = previous.positions.gather(1, columns)
            stage = Stage(source, valid, renumbered, origin[:, -1] - renumbered[:, -1])
        if layer == 0:
            self.entry = stage
        else:
            self.stages.append((layer, stage))

    def probe(self, layer: int, query: Tensor, key: Tensor, scaling: float) -> None:
        """Compute the statistics asked for in `layer`, prompt by prompt, without padding."""
        for b, rows in ((b, rows) for rows in self.wanted.get(layer, ()) for b in range(len(self.layouts))):
            assert isinstance(rows, Rows)
            layout, index = self.layouts[b], self.index[b]
            if not layout.spans:
                continue
            start = query.shape[2] - len(index)
            voters = _voters(rows, layout, index).to(query.device)
            received = received_attention(query[b, :, start:], key[b, :, start:], voters, scaling).cpu()
            values = torch.zeros(layout.length)
            values[index] = received / len(index) if rows.which == "all" else received
            self.signals[b][rows, layer] = values

    def finish(self) -> list[PromptTrace]:
        """Close the traces.

        Raises
        ------
        WinnowError
            If a method that promises exact counts kept others than it planned.
        """
        traces = [recorder.finish() for recorder in self.recorders]
        for trace in () if self.reducer.adaptive else traces:
            planned = self.reducer.plan([span.grid for span in trace.layout.spans], self.depth)
            if planned != trace.visual_per_layer:
                executed = trace.visual_per_layer
                raise WinnowError(f"reducer {self.reducer.name} planned {planned} visual tokens but kept {executed}")
        return traces


def _spread(values: Sequence[T], batch: int, name: str) -> list[T]:
    """One value per sequence, where each prompt may have several sequences."""
    if not values or batch % len(values):
        raise WinnowError(f"{len(values)} {name} were given for a batch of {batch} prompts: give one per prompt")
    return [value for value in values for _ in range(batch // len(values))]


def _voters(rows: Rows, layout: Layout, index: Tensor) -> Tensor:
    """Places in `index` of the query rows that vote."""
    if rows.which == "last":
        return torch.tensor([len(index) - 1])
    if rows.which == "text":
        return torch.searchsorted(index, layout.question)
    return torch.arange(len(index))

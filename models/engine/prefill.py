"""One prefill: the prompts of a batch on their way through the layers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from winnow.models.engine.checks import check_reduction
from winnow.models.engine.fetched import onto
from winnow.models.engine.sequence import Stage, compact_positions, mean_positions, pad_left, restart_positions, take
from winnow.models.engine.signals import Signals
from winnow.models.engine.trace import PromptTrace, Recorder, Step
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site
from winnow.reducers.core.tower import Tower

T = TypeVar("T")
Notes = list[dict[Hashable, Any]]
"""Per prompt, what methods tell one another, see `View.notes`."""


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
        See `attach`.
    copies : int
        Sequences of each prompt (beams, samples), one behind the other: what the method answers to the first holds for
        all.
    tail : int
        Columns behind the prompts: what was drafted or answered already, which no method sees.
    mrope : bool
        Whether positions are three-dimensional.
    starts : sequence of int
        See `PromptTrace.start`; empty: all begin a conversation.
    real : sequence of Tensor or None
        See `settle`; None: padding stands on the left already.
    norm : callable or None
        The LLM's final norm, for `View.norm`.

    Attributes
    ----------
    features : list of Tensor
        What the next layers will have added to their outputs (deepstack), each ``(batch, n, width)``, or what layers
        are fed of each token, ``(batch, n, layers * inputs)``; reduced like the hidden states.
    notes : list of dict
        Per prompt, see `View.notes`; of this method alone unless somebody shares them.
    """

    def __init__(
        self,
        reducer: Reducer,
        layouts: Sequence[Layout],
        width: int,
        depth: int,
        keys: Sequence[str] = (),
        relevance: Sequence[Tensor | None] = (),
        copies: int = 1,
        tail: int = 0,
        mrope: bool = False,
        starts: Sequence[int] = (),
        real: Sequence[Tensor] | None = None,
        norm: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        batch = len(layouts)
        names = per_sequence(keys or [str(i) for i in range(batch // copies)], batch, copies, "keys")
        extras = per_sequence(relevance or [None] * (batch // copies), batch, copies, "relevance")
        self.layouts = [replace(x, key=k, relevance=r) for x, k, r in zip(layouts, names, extras, strict=True)]
        self.reducer, self.width, self.depth = reducer, width, depth
        self.copies, self.tail, self.mrope, self.real = copies, tail, mrope, real
        self.more: dict[str, Any] = {} if norm is None else {"norm": norm}
        pictures = any(x.spans for x in layouts)
        self.sites = set(reducer.sites(depth)) if pictures else set()
        self.index = [torch.arange(x.length) for x in self.layouts]
        self.signals = Signals(reducer.probes(depth) if pictures else (), self.layouts)
        self.recorders = [Recorder(*x) for x in zip(self.layouts, starts or [0] * batch, strict=True)]
        self.features: list[Tensor] = []
        self.stages: list[tuple[int, Stage]] = []
        self.entry: Stage | None = None
        self.notes: Notes = [{} for _ in self.layouts]
        self.told: list[object] = [None for _ in self.layouts]
        self.weighed = [False for _ in self.layouts]

    @property
    def entry_width(self) -> int:
        """Columns of the sequence that layer 0 saw."""
        return self.width if self.entry is None else self.entry.columns.shape[1]

    def settle(self, embeds: Tensor, real: Sequence[Tensor]) -> Tensor:
        """Move padding that stands within the prompts to the left: the columns of real tokens, per prompt."""
        behind = torch.arange(self.width - self.tail, self.width)
        columns, valid = pad_left([torch.cat([row, behind]) for row in real])
        self.entry = Stage(columns, valid)
        self.features = [take(state, columns, 1) for state in self.features]
        return take(embeds, columns, 1)

    def stage(self, layer: int) -> Stage | None:
        """What `layer` sees of the entry sequence; None: all of it."""
        return next((stage for start, stage in reversed(self.stages) if start <= layer), None)

    def record(self) -> None:
        """Note in the traces what the next layer processes."""
        for recorder, index in zip(self.recorders, self.index, strict=True):
            recorder.layer(index)

    def reduce(self, site: Site, hidden: Tensor, positions: Tensor | None) -> Tensor:
        """Ask the method where it acts, see `apply`."""
        if site not in self.sites:
            return hidden
        answers = [self._answer(b, site, hidden) for b in range(0, len(self.layouts), self.copies)]
        return self.apply([answer for answer in answers for _ in range(self.copies)], site, hidden, positions)

    def _answer(self, b: int, site: Site, hidden: Tensor) -> Reduction | None:
        layout, index = self.layouts[b], self.index[b]
        end = hidden.shape[1] - self.tail
        state = hidden[b, end - len(index) : end]
        recorder, signals = self.recorders[b], self.signals.values[b]
        notes = self.notes[b] if site.kind == "entrance" else {}
        more = self.more | {"told": self.told[b]}
        view = View(layout, index, state, site, recorder.removed_at, recorder.size, signals, notes, **more)
        answer = self._asked(view) if len(view.visual) or (layout.spans and site.number) else None
        if answer is None:
            return None
        self.told[b] = view.told if answer.told is None else answer.told
        check_reduction(answer, view, self.reducer, self.mrope)
        unchanged = answer.weights is None and answer.drop_text is None and len(answer.keep) == len(view.visual)
        return None if unchanged else answer

    def _asked(self, view: View) -> Reduction | None:
        """What the method says, or has said as a part of another one that was shown the same."""
        who, key = self.reducer.acting(view.site), view.layout.key
        said: list[tuple[Reducer, str, Reduction | None]] = view.once("answers", list)
        for one, prompt, answer in said:
            if one == who and prompt == key:
                return answer
        said.append((who, key, self.reducer.reduce(view)))
        return said[-1][2]

    def apply(
        self, answers: Sequence[Reduction | None], site: Site, hidden: Tensor, positions: Tensor | None
    ) -> Tensor:
        """Carry out one answer per prompt.

        Parameters
        ----------
        answers : sequence of Reduction or None
            One per prompt; None leaves it as it is.
        site : Site
            Where.
        hidden : Tensor
            Shape ``(batch, n, width)``.
        positions : Tensor or None
            Position ids of the sequence that layer 0 saw (at the entrance: of the prompt), for renumbering.

        Returns
        -------
        Tensor
            Shape ``(batch, n', width)``; `hidden` itself if nothing changes.
        """
        if all(answer is None for answer in answers):
            return hidden
        states = [hidden, *self.features]
        if any(answer is not None and answer.weights is not None for answer in answers):
            states = [state.clone() for state in states]
        width, columns = hidden.shape[1] - self.tail, []
        behind = torch.arange(width, width + self.tail)
        before, start = list(self.index), site.first_without
        for b, answer in enumerate(answers):
            places = torch.arange(len(before[b]))
            if answer is not None:
                self._merge(b, states, answer)
                places = self._places(b, answer)
                gone = torch.ones(len(before[b]), dtype=torch.bool)
                gone[places] = False
                self.recorders[b].remove(before[b][gone], start)
                self.recorders[b].steps.append(Step(site, answer))
            self.index[b] = before[b][places]
            columns.append(torch.cat([places + width - len(before[b]), behind]))
        gathered, valid = pad_left(columns)
        self._push(start, gathered, valid, answers, before, positions)
        hidden, *self.features = [take(state, gathered, 1) for state in states]
        return hidden

    def _places(self, b: int, answer: Reduction) -> Tensor:
        """Places of the survivors among the tokens present."""
        stays = ~self.layouts[b].is_visual
        stays[answer.keep] = True
        if answer.drop_text is not None:
            stays[answer.drop_text] = False
        return stays[self.index[b]].nonzero().flatten()

    def _merge(self, b: int, states: Sequence[Tensor], answer: Reduction) -> None:
        """Write the merged tokens over their anchors, in place; the sums run in float32."""
        if answer.weights is None:
            return
        index, start = self.index[b], states[0].shape[1] - self.tail - len(self.index[b])
        here = self.layouts[b].is_visual[index].nonzero().flatten()
        anchors = torch.searchsorted(index, answer.keep.contiguous())
        self.recorders[b].merge(index[here], answer.keep, answer.weights)
        for state in states:
            weights = answer.weights.to(state.device, torch.float32)
            merged = torch.sparse.mm(weights, state[b, onto(here + start, state.device)].float())
            state[b, onto(anchors + start, state.device)] = merged.to(state.dtype)

    def _push(
        self,
        layer: int,
        columns: Tensor,
        valid: Tensor,
        answers: Sequence[Reduction | None],
        before: Sequence[Tensor],
        positions: Tensor | None,
    ) -> None:
        """Add the stage that begins at `layer`, with its columns traced back to the entry sequence."""
        previous = self.stages[-1][1] if self.stages else self.entry if layer == 0 else None
        source = columns if previous is None else previous.columns.gather(1, columns)
        added = self._added(columns.shape[1], answers)
        stage = Stage(source, valid, added=added)
        policies = {answer.positions for answer in answers if answer is not None}
        if policies != {"keep"} or (previous is not None and previous.positions is not None):
            seen = self.width if layer == 0 else self.entry_width
            origin = torch.arange(seen)[None] if positions is None else positions.cpu()
            origin = origin.expand(len(columns), -1)
            current = origin if previous is None else origin.gather(1, previous.columns)
            current = current if previous is None or previous.positions is None else previous.positions
            if "mean" in policies:
                current = mean_positions(current, answers, before, [x.is_visual for x in self.layouts], self.tail)
            renumbered = current.gather(1, columns)
            if "compact" in policies:
                renumbered = compact_positions(renumbered.gather(1, valid.long().argmax(1)[:, None])[:, 0], valid)
            if "restart" in policies:
                renumbered = restart_positions(renumbered, self._visual(columns.shape[1]))
            stage = Stage(source, valid, renumbered, origin[:, -1] - renumbered[:, -1], added)
        if layer == 0:
            self.entry = stage
        else:
            self.stages.append((layer, stage))

    def _added(self, width: int, answers: Sequence[Reduction | None]) -> Tensor | None:
        """What attention adds to each column's key from now on, ``(batch, width)``."""
        for b, answer in enumerate(answers):
            self.weighed[b] = self.weighed[b] or (answer is not None and answer.weighed)
        if not any(self.weighed):
            return None
        added = torch.zeros(len(self.index), width)
        for row, index, recorder, weighed in zip(added, self.index, self.recorders, self.weighed, strict=True):
            if weighed:
                row[width - self.tail - len(index) : width - self.tail] = recorder.size[index].log()
        return added

    def _visual(self, width: int) -> Tensor:
        """Which columns of what is left hold visual tokens, ``(batch, width)``."""
        found = torch.zeros(len(self.index), width, dtype=torch.bool)
        for row, index, layout in zip(found, self.index, self.layouts, strict=True):
            row[width - self.tail - len(index) : width - self.tail] = layout.is_visual[index]
        return found

    def finish(self, tower: Tower | None) -> list[PromptTrace]:
        """Close the traces.

        Raises
        ------
        WinnowError
            If a method that promises exact counts kept others than it planned.
        """
        traces = [recorder.finish() for recorder in self.recorders]
        for trace in () if self.reducer.adaptive else traces:
            if tower is not None and trace.layout.tiled:  # vectors in a tile's padding go with it
                continue
            planned = self.reducer.plan([span.grid for span in trace.layout.spans], self.depth, tower)
            if planned != trace.visual_per_layer:
                executed = trace.visual_per_layer
                raise WinnowError(f"reducer {self.reducer.name} planned {planned} visual tokens but kept {executed}")
        return traces


def per_sequence(values: Sequence[T], batch: int, copies: int, name: str) -> list[T]:
    """The value of each sequence's prompt, of which there are so many sequences."""
    prompts = batch // copies
    if len(values) != prompts:
        raise WinnowError(f"{len(values)} {name} were given for a batch of {prompts} prompts: give one per prompt")
    return [value for value in values for _ in range(copies)]

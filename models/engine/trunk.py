"""Runs each LLM layer once for all methods that see the same tokens in it: a tree of what is really computed.

The methods of a sweep take their turns at one batch. Whatever a layer computed for one of them is remembered as long as
another may come by: keys and values, the statistics that were asked for, and its output where somebody leaves the
path. A method that arrives with the same input finds the layer done. Equality is that of the tensors themselves, so
that sharing cannot change an answer; what a plan foretells only decides what is worth remembering.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from winnow.models.engine.prefill import Notes, Prefill
from winnow.models.transformers_api import put_layer, taken_layer
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.probes import LookAhead, Probe
from winnow.reducers.core.tower import Tower

Measured = list[dict[tuple[Probe, int], Tensor]]
"""Per prompt, statistics by probe and layer."""


@dataclass(eq=False)
class Node:
    """One layer on one input.

    Parameters
    ----------
    layer : int
        The layer; -1 for the root, which stands for the prompts.
    index : sequence of Tensor
        Per prompt the tokens that it sees.
    visual : tuple of int
        Per prompt how many of them are visual.
    cutter : type or None
        The kind of method that made its tokens what they are; None: nothing is gone.
    entry : tuple of Tensor
        Its hidden states and rotary embedding, where they are not the output of the node above.
    """

    layer: int = -1
    index: Sequence[Tensor] = ()
    visual: tuple[int, ...] = ()
    cutter: type | None = None
    entry: tuple[Tensor, ...] = ()
    cache: Any = None
    output: Tensor | None = None
    measured: Measured = field(default_factory=list)
    next: Node | None = None
    cuts: list[Node] = field(default_factory=list)

    def find(self, index: Sequence[Tensor], entry: tuple[Tensor, ...]) -> Node | None:
        """The node below that sees these tokens in these states at these positions."""
        return next((node for node in self.cuts if _equal(node.index, index) and _equal(node.entry, entry)), None)

    @property
    def bytes(self) -> int:
        """What it holds on the device."""
        held = [*self.entry, self.output, *(getattr(self.cache, name, None) for name in ("keys", "values"))]
        return sum(tensor.nbytes for tensor in held if isinstance(tensor, Tensor))

    def below(self) -> Iterator[Node]:
        """The nodes below, one after the other."""
        nodes = [self]
        while nodes:
            node = nodes.pop()
            found = [*([] if node.next is None else [node.next]), *node.cuts]
            nodes += found
            yield from found


def _equal(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    pairs = zip(some, others, strict=True)
    return len(some) == len(others) and all(a is b or torch.equal(a, b) for a, b in pairs)


class Expected:
    """Where a method should come by, from its plan.

    Parameters
    ----------
    reducer : Reducer
    depth : int
        Layers of the LLM.
    tower : Tower or None
    """

    def __init__(self, reducer: Reducer, depth: int, tower: Tower | None) -> None:
        self.reducer, self.depth = reducer, depth
        self.tower = tower if reducer.acts_in_tower(depth, tower) else None
        self.probes = [(probe, layer) for probe, layer in reducer.probes(depth)]
        sites = reducer.sites(depth)
        self.inside = {site.number for site in sites if site.kind == "inside"}
        looks = {layer for probe, layer in self.probes if isinstance(probe, LookAhead)}
        self.stops = {site.number for site in sites} | looks | {depth}
        self._plans: dict[tuple[Any, ...], list[int]] = {}

    def plan(self, layout: Layout) -> list[int]:
        """Visual tokens of a prompt that each layer should see; empty if there is no saying."""
        grids = tuple(span.grid for span in layout.spans)
        if grids not in self._plans:
            try:
                self._plans[grids] = self.reducer.plan(grids, self.depth, self.tower)
            except WinnowError:
                self._plans[grids] = []
        return self._plans[grids]

    def passes(self, node: Node, layouts: Sequence[Layout]) -> bool:
        """Whether it should come by a node, if it came by the one above."""
        plans = [self.plan(layout) for layout in layouts]
        if node.layer in self.inside or not all(plans):
            return False
        due = [plan[node.layer] for plan in plans]
        whole = [len(layout.visual) for layout in layouts]
        if self.reducer.adaptive and due != whole:
            return node.cutter is type(self.reducer)
        return due == list(node.visual)


class Trunk:
    """What the methods of a sweep share of one batch; see the module.

    Parameters
    ----------
    reducers : sequence of Reducer
        The methods, each of which will be attached once; who keeps most for longest best comes first.
    budget : int or None
        Most bytes to remember; what does not fit is computed again. None: no bound.

    Attributes
    ----------
    ran, spared : list of int
        Tokens of each layer that was computed, and of each that was not.
    held, peak : int
        Bytes that are remembered, and the most that ever were.
    closed : bool
        Whether nothing is shared any more.
    """

    def __init__(self, reducers: Sequence[Reducer], budget: int | None = None) -> None:
        self.waiting, self.budget = list(reducers), budget
        self.root = Node()
        self.ran: list[int] = []
        self.spared: list[int] = []
        self.held = self.peak = 0
        self.closed = False
        self._layouts: Sequence[Layout] = ()
        self._expected: dict[int, Expected] = {}
        self._entered: list[tuple[Sequence[Tensor], Tensor, Notes]] = []

    def probes(self, depth: int) -> set[tuple[Probe, int]]:
        """All statistics that methods still to come will ask for."""
        return {asked for reducer in self.waiting for asked in reducer.probes(depth)}

    def notes(self, index: Sequence[Tensor], embeds: Tensor) -> Notes:
        """What methods told one another of these prompts as they stand at the entrance.

        Parameters
        ----------
        index : sequence of Tensor
            Per prompt the tokens present.
        embeds : Tensor
            Their embeddings, ``(batch, n, width)``.
        """
        for tokens, known, notes in self._entered:
            if _equal(tokens, index) and _equal([known], [embeds]):
                return notes
        self._entered.append((list(index), embeds, [{} for _ in index]))
        return self._entered[-1][2]

    def begin(self, reducer: Reducer, prefill: Prefill, tower: Tower | None, cache: Any) -> Branch:
        """Let a method take its turn."""
        self.done(reducer)
        self._layouts = prefill.layouts
        for waiting in (reducer, *self.waiting):
            if id(waiting) not in self._expected:
                self._expected[id(waiting)] = Expected(waiting, prefill.depth, tower)
        others = [self._expected[id(waiting)] for waiting in self.waiting]
        return Branch(self, self._expected[id(reducer)], prefill, cache, others)

    def done(self, reducer: Reducer) -> None:
        """Wait no longer for a method."""
        place = next((place for place, waiting in enumerate(self.waiting) if waiting is reducer), None)
        if place is not None:
            del self.waiting[place]

    def close(self) -> None:
        """Forget everything, and wait for nobody."""
        self.waiting, self.root, self.held, self.closed = [], Node(), 0, True
        self._entered = []

    def prune(self) -> None:
        """Forget what nobody will come by."""
        waiting = [self._expected[id(one)] for one in self.waiting if id(one) in self._expected]
        self._prune(self.root, waiting)
        if not any(0 in one.stops for one in waiting):
            self._entered = []
        self.held = sum(node.bytes for node in self.root.below())

    def _prune(self, node: Node, coming: Sequence[Expected]) -> None:
        """Walk down as long as somebody comes by."""
        nodes = [(node, list(coming))]
        while nodes:
            node, coming = nodes.pop()
            below = [(found, self.coming(found, coming)) for found in ([node.next] if node.next else []) + node.cuts]
            kept = [(found, others) for found, others in below if others]
            alive = {id(found) for found, _ in kept}
            node.cuts = [found for found in node.cuts if id(found) in alive]
            node.next = node.next if node.next is not None and id(node.next) in alive else None
            nodes += kept

    def keep(self, above: Node, node: Node) -> bool:
        """Remember a node below another, if it fits into the budget."""
        if node is above.next or any(node is found for found in above.cuts):
            return True
        if self.budget is not None and self.held + node.bytes > self.budget:
            return False
        self.held += node.bytes
        self.peak = max(self.peak, self.held)
        if node.entry:
            above.cuts.append(node)
        else:
            above.next = node
        return True

    def coming(self, node: Node, others: Sequence[Expected]) -> list[Expected]:
        """Which of some methods should come by a node."""
        return [other for other in others if other.passes(node, self._layouts)]


class Branch:
    """One method's way through the tree.

    Parameters
    ----------
    trunk : Trunk
    own : Expected
        The method.
    prefill : Prefill
        Its prefill.
    cache : Any
        Its KV cache.
    coming : sequence of Expected
        The methods still to come.
    """

    def __init__(self, trunk: Trunk, own: Expected, prefill: Prefill, cache: Any, coming: Sequence[Expected]) -> None:
        self.trunk, self.own, self.prefill, self.cache = trunk, own, prefill, cache
        self.node: Node | None = trunk.root
        self.coming = list(coming)
        self.index: list[Tensor] = []
        self.until = -1

    def run(self, layer: int, hidden: Tensor, rotary: tuple[Tensor, Tensor], compute: Callable[[], Tensor]) -> Tensor:
        """A layer's output: remembered, or computed now.

        Parameters
        ----------
        layer : int
        hidden : Tensor
            Its input, ``(batch, n, width)``; what stands in it does not matter as long as the layers up to ``until``
            are remembered.
        rotary : (Tensor, Tensor)
            Rotary cosine and sine of its tokens.
        compute : callable
            Runs the layer.
        """
        index, above = list(self.prefill.index), self.node
        whole = len(index) == len(self.index) and all(a is b for a, b in zip(index, self.index, strict=True))
        self.index = index
        if above is None or layer in self.own.inside:
            self.node = None
            return self._computed(hidden, compute)
        entry = () if whole else (hidden, *rotary)
        node = above.next if whole else above.find(index, entry)
        if node is not None and layer > self.until:
            self.until = self._reach(node)
        if node is not None and layer <= self.until:
            return self._recall(node, hidden)
        if node is None:
            visual = tuple(recorder.visual[-1] for recorder in self.prefill.recorders)
            node = Node(layer, index, visual, above.cutter if whole else self._cutter(visual), entry)
        return self._remember(above, node, hidden, compute)

    def _cutter(self, visual: tuple[int, ...]) -> type | None:
        """The kind of this method, if it took any token away."""
        whole = tuple(len(layout.visual) for layout in self.prefill.layouts)
        return None if visual == whole else type(self.own.reducer)

    def _reach(self, node: Node | None) -> int:
        """The last layer that can be recalled from here without the states in between; -1 if none."""
        reach = -1
        while node is not None and self._enough(node):
            if node.output is not None:
                reach = node.layer
            node = None if node.layer + 1 in self.own.stops else node.next
        return reach

    def _enough(self, node: Node) -> bool:
        """Whether a node has all statistics that this method asks of its layer."""
        asked = {(p, at) for p, at in self.own.probes if at == node.layer and not isinstance(p, LookAhead)}
        pictured = [found for found, layout in zip(node.measured, self.prefill.layouts, strict=True) if layout.spans]
        return all(asked <= found.keys() for found in pictured)

    def _recall(self, node: Node, hidden: Tensor) -> Tensor:
        """Take over keys, values and statistics of a node; its output, if that is known."""
        put_layer(self.cache, node.layer, node.cache)
        for values, found in zip(self.prefill.signals.values, node.measured, strict=True):
            values.update(found)
        self.node = node
        self.coming = self.trunk.coming(node, self.coming)
        self.trunk.spared.append(hidden.shape[1])
        return hidden if node.output is None or node.layer < self.until else node.output

    def _computed(self, hidden: Tensor, compute: Callable[[], Tensor]) -> Tensor:
        self.trunk.ran.append(hidden.shape[1])
        return compute()

    def _remember(self, above: Node, node: Node, hidden: Tensor, compute: Callable[[], Tensor]) -> Tensor:
        """Compute a layer with the statistics of all who should come by, and keep it if somebody should."""
        self.coming = coming = self.trunk.coming(node, self.coming)
        self.prefill.signals.extra = {probe for one in coming for probe, at in one.probes if at == node.layer}
        output = self._computed(hidden, compute)
        self.prefill.signals.extra = set()
        self.node = node if coming else None
        if not coming:
            return output
        at = node.layer
        node.measured = [{k: v for k, v in found.items() if k[1] == at} for found in self.prefill.signals.values]
        stops = self.own.stops.union(*(one.stops for one in coming))
        node.cache, node.output = taken_layer(self.cache, at), output if at + 1 in stops else None
        if not self.trunk.keep(above, node):
            self.node = None
        return output

    def seen_ahead(self, layer: int) -> None:
        """Keep what this method has seen of `layer` before it ran."""
        if self.node is not None and self.node.measured:
            for values, known in zip(self.prefill.signals.values, self.node.measured, strict=True):
                known.update({k: v for k, v in values.items() if k[1] == layer and isinstance(k[0], LookAhead)})

"""Runs each LLM layer once for all methods that see the same tokens in it: a tree of what is really computed.

The methods of a sweep take their turns at one batch. Whatever a layer computed for one of them is remembered as long as
another may come by: keys and values, the statistics that were asked for, and its output where somebody leaves the
path. A method that arrives with the same input finds the layer done. Equality is that of the tensors themselves, so
that sharing cannot change an answer; what a plan foretells only decides what is worth remembering.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from winnow.models.engine.foretold import Expected
from winnow.models.engine.prefill import Notes, Prefill
from winnow.models.engine.tree import Node, equal
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.probes import Probe
from winnow.reducers.core.tower import Tower


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
        self._placed: list[tuple[Reducer, Reducer]] = []
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
            if equal(tokens, index) and equal([known], [embeds]):
                return notes
        self._entered.append((list(index), embeds, [{} for _ in index]))
        return self._entered[-1][2]

    def begin(
        self, reducer: Reducer, prefill: Prefill, tower: Tower | None, lent: int
    ) -> tuple[Expected, list[Expected]]:
        """Let a method take its turn: what is expected of it, and of those that come after it; see `Branch`."""
        self.done(reducer)
        self._layouts = prefill.layouts
        for waiting in (reducer, *self.waiting):
            if id(waiting) not in self._expected:
                self._expected[id(waiting)] = Expected(waiting, prefill.depth, tower, lent)
        return self._expected[id(reducer)], [self._expected[id(waiting)] for waiting in self.waiting]

    def done(self, reducer: Reducer) -> None:
        """Wait no longer for a method."""
        place = next((place for place, waiting in enumerate(self.waiting) if waiting is reducer), None)
        if place is not None:
            del self.waiting[place]

    def placed(self, reducer: Reducer, place: Callable[[Reducer], Reducer]) -> Reducer:
        """The method where the model lets it act, as `place` says; so are all that are waited for, from now on."""
        if not self._placed:
            self._placed = [(one, place(one)) for one in self.waiting]
            self.waiting = [made for _, made in self._placed]
        return next((made for one, made in self._placed if one is reducer), None) or place(reducer)

    def close(self) -> None:
        """Forget everything, and wait for nobody."""
        self.waiting, self.root, self.held, self.closed = [], Node(), 0, True
        self._entered = []

    def prune(self) -> None:
        """Forget what nobody will come by."""
        waiting = [self._expected[id(one)] for one in self.waiting if id(one) in self._expected]
        nodes = [(self.root, waiting)]
        while nodes:
            node, coming = nodes.pop()
            kept = [(found, others) for found in node.children if (others := self.coming(found, coming))]
            node.retain([found for found, _ in kept])
            nodes += kept
        if not any(0 in one.stops for one in waiting):
            self._entered = []
        self.held = sum(node.bytes for node in self.root.below())

    def keep(self, above: Node, node: Node) -> bool:
        """Remember a node below another, if it fits into the budget."""
        if node in above.children:
            return True
        if self.budget is not None and self.held + node.bytes > self.budget:
            return False
        self.held += node.bytes
        self.peak = max(self.peak, self.held)
        above.add(node)
        return True

    def coming(self, node: Node, others: Sequence[Expected]) -> list[Expected]:
        """Which of some methods should come by a node."""
        return [other for other in others if other.passes(node, self._layouts)]

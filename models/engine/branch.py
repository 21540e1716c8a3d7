"""One method's way through the tree of shared layers: each is recalled, or computed and remembered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from winnow.models.engine.prefill import Prefill
from winnow.models.engine.tree import Node
from winnow.models.engine.trunk import Trunk
from winnow.models.transformers_api import put_layer, taken_layer
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.probes import Ahead
from winnow.reducers.core.tower import Tower


class Branch:
    """One method's way through the tree.

    Parameters
    ----------
    trunk : Trunk
    reducer : Reducer
        The method, which takes its turn.
    prefill : Prefill
        Its prefill.
    tower : Tower or None
        The model's vision tower.
    cache : Any
        Its KV cache.
    lent : int
        The first layer whose keys later ones read; the depth where there is none. From it on nothing is shared.
    """

    def __init__(
        self, trunk: Trunk, reducer: Reducer, prefill: Prefill, tower: Tower | None, cache: Any, lent: int
    ) -> None:
        self.trunk, self.prefill, self.cache = trunk, prefill, cache
        self.own, self.coming = trunk.begin(reducer, prefill, tower, lent)
        self.node: Node | None = trunk.root
        self.index: list[Tensor] = []
        self.until = -1

    def run(self, layer: int, hidden: Tensor, around: tuple[Tensor, ...], compute: Callable[[], Tensor]) -> Tensor:
        """A layer's output: remembered, or computed now.

        Parameters
        ----------
        layer : int
        hidden : Tensor
            Its input, ``(batch, n, width)``; what stands in it does not matter as long as the layers up to ``until``
            are remembered.
        around : tuple of Tensor
            Rotary cosine and sine of its tokens, what attention adds to the logits of their keys, and what the layer is
            fed of them besides, if anything.
        compute : callable
            Runs the layer.
        """
        index, above = list(self.prefill.index), self.node
        whole = len(index) == len(self.index) and all(a is b for a, b in zip(index, self.index, strict=True))
        self.index = index
        if above is None or layer in self.own.inside:
            self.node = None
            return self._computed(hidden, compute)
        entry = () if whole else (hidden, *around)
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
        asked = {(p, at) for p, at in self.own.probes if at == node.layer and not isinstance(p, Ahead)}
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
                known.update({k: v for k, v in values.items() if k[1] == layer and isinstance(k[0], Ahead)})

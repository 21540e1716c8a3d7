"""The tree of what a batch's prefills have computed: a node is one layer on one input."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from winnow.models.transformers_api import tensors_of
from winnow.reducers.core.probes import Probe

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
        return next((node for node in self.cuts if equal(node.index, index) and equal(node.entry, entry)), None)

    @property
    def bytes(self) -> int:
        """What it holds on the device."""
        output = [] if self.output is None else [self.output]
        return sum(tensor.nbytes for tensor in (*self.entry, *output, *tensors_of(self.cache)))

    @property
    def children(self) -> list[Node]:
        """The nodes right below."""
        return [*([] if self.next is None else [self.next]), *self.cuts]

    def below(self) -> Iterator[Node]:
        """All nodes below, one after the other."""
        nodes = self.children
        while nodes:
            node = nodes.pop()
            nodes += node.children
            yield node

    def add(self, node: Node) -> None:
        """Take a node right below."""
        if node.entry:
            self.cuts.append(node)
        else:
            self.next = node

    def retain(self, nodes: Sequence[Node]) -> None:
        """Let go of what is right below, but for these."""
        self.cuts = [node for node in self.cuts if node in nodes]
        self.next = self.next if self.next in nodes else None


def equal(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Whether two sequences hold the same tensors, or equal ones."""
    pairs = zip(some, others, strict=True)
    return len(some) == len(others) and all(a is b or torch.equal(a, b) for a, b in pairs)

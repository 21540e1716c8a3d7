"""What the cells of a group compute together: the tree of the LLM's layers, foretold from plans.

It promises no more than plans tell: cells whose methods turn out to keep the same tokens share more.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field

from winnow.harness.cost import physical
from winnow.harness.cost.hardware import WIDTHS
from winnow.harness.cost.memory import kept_bytes, kv_bytes
from winnow.harness.plan.nominal import Nominal
from winnow.reducers.core.base import Reducer


@dataclass(frozen=True)
class Node:
    """Some layers in a row that the same cells go through.

    Attributes
    ----------
    first : int
        The first of the layers.
    tokens : tuple of int
        Tokens, visual and text, that each of them processes.
    cells : tuple of int
        Which of the cells come by.
    below : list of Node
        Where they go on.
    """

    first: int
    tokens: tuple[int, ...]
    cells: tuple[int, ...]
    below: list[Node] = field(default_factory=list)

    def nodes(self) -> Iterator[Node]:
        """Depth first: this one and all below."""
        yield self
        for node in self.below:
            yield from node.nodes()


def in_turn(plans: Sequence[Sequence[int]]) -> list[int]:
    """The order in which cells should take their turns, by their plans: who keeps most for longest comes first."""
    return sorted(range(len(plans)), key=lambda cell: [-count for count in plans[cell]])


def trees(prompt: Nominal, reducers: Sequence[Reducer], plans: Sequence[Sequence[int]]) -> list[Node]:
    """The trees of some methods and their plans on the nominal prompt: one for each way in which they enter the LLM."""
    ways = [_way(prompt, reducer, plan) for reducer, plan in zip(reducers, plans, strict=True)]
    return _grow(tuple(in_turn(plans)), 0, ways, [[count + prompt.text for count in plan] for plan in plans])


def _way(prompt: Nominal, reducer: Reducer, planned: Sequence[int]) -> list[Hashable]:
    """Per layer all that was done to the prompt until then: equal for cells that see the same there."""
    sites = reducer.sites(prompt.shape.layers, prompt.tower)
    way: list[Hashable] = []
    done: tuple[Hashable, ...] = ()
    for layer, count in enumerate(planned):
        here = [
            site for site in sites if site.first_without == layer or (site.kind == "inside" and site.number == layer)
        ]
        falls = count < (planned[layer - 1] if layer else prompt.visual)
        if here and (falls or not reducer.adaptive):
            done = (*done, *((str(site), repr(reducer.acting(site))) for site in here))
        way.append((done, count))
    return way


def _grow(
    cells: tuple[int, ...], first: int, ways: Sequence[Sequence[Hashable]], tokens: Sequence[Sequence[int]]
) -> list[Node]:
    """The nodes that begin at a layer, and what is below them."""
    depth = len(tokens[0]) if tokens else 0
    groups: dict[Hashable, list[int]] = {}
    for cell in cells if first < depth else ():
        groups.setdefault(ways[cell][first], []).append(cell)
    return [_node(tuple(group), first, ways, tokens) for group in groups.values()]


def _node(
    cells: tuple[int, ...], first: int, ways: Sequence[Sequence[Hashable]], tokens: Sequence[Sequence[int]]
) -> Node:
    last, depth = first + 1, len(tokens[0])
    while last < depth and len({ways[cell][last] for cell in cells}) == 1:
        last += 1
    return Node(first, tuple(tokens[cells[0]][first:last]), cells, _grow(cells, last, ways, tokens))


def shared_flops(prompt: Nominal, found: Sequence[Node]) -> tuple[float, float]:
    """FLOPs of the prefills of one document: of the tree, and of all cells one by one; the methods' own left out."""
    head = physical.head_op(prompt.shape).flops
    once = alone = 0.0
    for node in (node for root in found for node in root.nodes()):
        shapes = (prompt.shape.at(layer) for layer in range(node.first, node.first + len(node.tokens)))
        flops = sum(physical.layer_flops(*one, prompt.attn) for one in zip(shapes, node.tokens, strict=True))
        ends = node.first + len(node.tokens) == prompt.shape.layers
        once += flops + (head * len(node.cells) if ends else 0.0)
        alone += (flops + (head if ends else 0.0)) * len(node.cells)
    return once, alone


def shared_bytes(prompt: Nominal, found: Sequence[Node], batch: int) -> float:
    """Most bytes that a batch's tree remembers: keys and values of shared layers, and a state where cells part."""
    shape, width = prompt.shape, WIDTHS[prompt.dtype]
    kept = 0.0
    for node in (node for root in found for node in root.nodes()):
        if len(node.cells) > 1:
            kept += sum(kept_bytes(shape.at(at), n, width) for at, n in enumerate(node.tokens, node.first))
            kept += width * shape.hidden * (node.tokens[0] + node.tokens[-1])
    return kept * batch


def joint_bytes(prompt: Nominal, plans: Sequence[Sequence[int]], batch: int, new: int) -> float:
    """Bytes of the KV cache with which methods decode `new` tokens together: in each layer all are as long as one."""
    longest = [max(counts) + prompt.text + new for counts in zip(*plans, strict=True)]
    return kv_bytes(prompt.shape, longest, WIDTHS[prompt.dtype]) * len(plans) * batch


def draw(found: Sequence[Node], names: Sequence[str]) -> list[str]:
    """The trees as lines of text."""
    return [line for root in found for line in _draw(root, names, "", "")]


def _draw(node: Node, names: Sequence[str], lead: str, rest: str) -> Iterator[str]:
    last = node.first + len(node.tokens) - 1
    layers = f"layer {last}" if last == node.first else f"layers {node.first}-{last}"
    counts = list(dict.fromkeys(node.tokens))
    tokens = " > ".join(map(str, counts if len(counts) < 5 else [*counts[:3], "..", counts[-1]]))
    who = (
        ", ".join(names[cell] for cell in node.cells)
        if len(node.cells) == 1 or not node.below
        else f"{len(node.cells)} cells"
    )
    yield f"{lead}{layers}: {tokens} tokens, {who}"
    for place, below in enumerate(node.below):
        end = place == len(node.below) - 1
        yield from _draw(below, names, rest + ("`- " if end else "|- "), rest + ("   " if end else "|  "))

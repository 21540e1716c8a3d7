"""The numbers of a model that its cost depends on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from winnow.harness.cost.experts import Experts
from winnow.harness.cost.lean import Lean, feeding
from winnow.harness.cost.op import NORM_FLOPS, Op, linear
from winnow.harness.cost.sliding import Sliding
from winnow.harness.cost.states import States
from winnow.reducers.core.errors import WinnowError


@dataclass(frozen=True)
class LLMShape:
    """Shape of a decoder-only LLM with a gated MLP.

    Attributes
    ----------
    layers, hidden, heads, kv_heads, head_dim, mlp, vocab : int
        Depth, model width, query heads, key-value heads, width of a head, width of the MLP, entries of the vocabulary.
    experts : Experts or None
        What stands in place of the MLP in a mixture of experts.
    gated : bool
        Whether queries come with a gate for what attention returns.
    states : States or None
        What most layers of a hybrid have in place of attention.
    recurrent : bool
        Whether this is the shape of such a layer, see `at`.
    sliding : Sliding or None
        The window of most layers, see `at`.
    values : bool
        Whether values have weights of their own; else they are what keys are made of.
    lean : Lean or None
        Layers that are fed besides, and last ones that make no keys, see `at`.
    fed, feeds : int
        Numbers that a layer of this shape is fed of each token, and that it makes of each to feed all layers.
    reading : bool
        Whether a layer of this shape reads the keys of an earlier one.
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocab: int
    experts: Experts | None = None
    gated: bool = False
    states: States | None = None
    recurrent: bool = False
    sliding: Sliding | None = None
    values: bool = True
    lean: Lean | None = None
    fed: int = 0
    feeds: int = 0
    reading: bool = False

    @classmethod
    def from_arch(cls, arch: Mapping[str, Any]) -> "LLMShape":
        """Build a shape from the `arch` block of a model's YAML; `head_dim` defaults to `hidden / heads`."""
        names = ("layers", "hidden", "heads", "kv_heads", "mlp", "vocab")
        numbers = {name: int(arch[name]) for name in names}
        head = int(arch.get("head_dim") or numbers["hidden"] // numbers["heads"])
        return cls(
            **numbers,
            head_dim=head,
            experts=Experts.from_arch(arch),
            gated=bool(arch.get("gated_queries", False)),
            states=States.from_arch(arch),
            sliding=Sliding.from_arch(arch),
            recurrent=False,
            values=True,
            lean=Lean.from_arch(arch),
            fed=0,
            feeds=0,
            reading=False,
        )

    def at(self, layer: int) -> "LLMShape":
        """The shape of one layer, for what is counted layer by layer: a hybrid's, or some with windows, are unlike."""
        if self.experts and layer < self.experts.first:
            return _dense(self).at(layer)
        if self.lean:
            return _lean(self, self.lean, layer >= self.layers - self.lean.readers, layer == 0).at(layer)
        if self.sliding and self.sliding.sees_all(layer, self.layers):
            return _seeing_all(self, self.sliding)
        return self if self.states is None else _kind(self, bool((layer + 1) % self.states.every))

    def kept(self, n: int) -> int:
        """Tokens of `n` whose keys a layer of this shape keeps, or reads where it keeps none."""
        return min(n, self.sliding.window) if self.sliding else n

    def passing(self, n: int) -> int:
        """Tokens of a prompt, of which `n` are left, that pass a layer of this shape."""
        return min(n, 1) if self.reading else n

    @property
    def tables(self) -> int:
        """Weights of the tables from which layers are fed."""
        return self.lean.fed * self.layers * self.vocab if self.lean else 0

    @property
    def parameters(self) -> int:
        """Weights of all decoder layers' linear layers; without embedding and LM head."""
        return self._weights(self.experts.number if self.experts else 0)

    @property
    def active_parameters(self) -> int:
        """Those of them that one token passes, and that a decoding step reads."""
        return self._weights(self.experts.chosen if self.experts else 0)

    @property
    def inner(self) -> int:
        """Inner numbers of one token's MLP."""
        return self.experts.width if self.experts else self.mlp

    def _weights(self, met: int) -> int:
        shapes = [self.at(layer) for layer in range(self.layers)]
        return sum(one.mixing + int(one._mlp_weights(met)) for one in shapes)

    def _mlp_weights(self, met: int) -> float:
        return self.experts.weights(self.hidden, met) if self.experts else 3 * self.hidden * self.mlp

    @property
    def gates(self) -> bool:
        """Whether a layer of this shape gates what its attention returns."""
        return self.gated and not self.recurrent

    @property
    def mixing(self) -> int:
        """Weights of one layer besides its MLP."""
        if self.recurrent and self.states:
            return self.states.weights(self.hidden)
        queries = self.heads * (2 + self.gated)  # with the output's
        keys = 0 if self.reading else (1 + self.values) * self.kv_heads
        return self.hidden * ((queries + keys) * self.head_dim + 2 * self.fed + self.feeds)


@cache
def _dense(shape: LLMShape) -> LLMShape:
    return replace(shape, experts=None)


@cache
def _lean(shape: LLMShape, lean: Lean, reading: bool, first: bool) -> LLMShape:
    mlp, feeds = shape.mlp * (1 + (lean.wide and reading)), lean.fed * shape.layers * first
    return replace(shape, lean=None, fed=lean.fed, feeds=feeds, reading=reading, mlp=mlp)


@cache
def _seeing_all(shape: LLMShape, pattern: Sliding) -> LLMShape:
    kv_heads, head_dim = pattern.kv_heads or shape.kv_heads, pattern.head_dim or shape.head_dim
    return replace(shape, sliding=None, values=not pattern.kv_heads, kv_heads=kv_heads, head_dim=head_dim)


@cache
def _kind(shape: LLMShape, recurrent: bool) -> LLMShape:
    return replace(shape, recurrent=recurrent)


def linears(shape: LLMShape, n: int, width: float, mlp: int) -> list[Op]:
    """Cost of a decoder layer's linear layers, n tokens being in its attention; both profiles agree on them."""
    hidden, queries, keys = shape.hidden, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    if shape.recurrent and shape.states:
        return [*shape.states.linears(hidden, n, width), *_mlp(shape, mlp, width)]
    rows, left = shape.passing(n), shape.passing(mlp)
    cached = [] if shape.reading else [linear("k_proj", n, hidden, keys, width, cached=True), _values(shape, n, width)]
    return [
        linear("q_proj", rows, hidden, queries * (1 + shape.gated), width),
        *cached,
        linear("out_proj", rows, queries, hidden, width),
        *_mlp(shape, left, width),
        *feeding(hidden, shape.fed, shape.feeds, rows, left, width),
    ]


def _values(shape: LLMShape, n: int, width: float) -> Op:
    """What makes a layer's values: a projection, or a norm of what keys are made of."""
    keys = shape.kv_heads * shape.head_dim
    if shape.values:
        return linear("v_proj", n, shape.hidden, keys, width, cached=True)
    size = n * keys
    return Op("value_norm", NORM_FLOPS * size, load=size * width, kv_store=size * width)


def layers(shape: LLMShape, tokens_per_layer: Sequence[int], mlp: Sequence[int] | None = None) -> list[tuple[int, int]]:
    """Tokens of each layer's attention and MLP; the same where only one list is given.

    Raises
    ------
    WinnowError
        When a list does not have one entry per layer.
    """
    behind = tokens_per_layer if mlp is None else mlp
    for counts in (tokens_per_layer, behind):
        check_depth(shape, counts)
    return [(int(n), int(left)) for n, left in zip(tokens_per_layer, behind, strict=True)]


def _mlp(shape: LLMShape, n: int, width: float) -> list[Op]:
    if shape.experts:
        return shape.experts.ops(shape.hidden, n, width)
    return [
        linear("gate_proj", n, shape.hidden, shape.mlp, width),
        linear("up_proj", n, shape.hidden, shape.mlp, width),
        linear("down_proj", n, shape.mlp, shape.hidden, width),
    ]


def check_depth(shape: LLMShape, tokens_per_layer: Sequence[int]) -> None:
    """Refuse a list without one entry per layer.

    Raises
    ------
    WinnowError
        Names both numbers.
    """
    if len(tokens_per_layer) != shape.layers:
        raise WinnowError(
            f"tokens_per_layer has {len(tokens_per_layer)} entries but the LLM has {shape.layers} layers: "
            "give one number of tokens per layer"
        )

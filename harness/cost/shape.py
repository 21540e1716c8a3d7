"""The numbers of a model that its cost depends on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from winnow.harness.cost.experts import Experts
from winnow.harness.cost.op import Op, linear
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
    """

    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    mlp: int
    vocab: int
    experts: Experts | None = None

    @classmethod
    def from_arch(cls, arch: Mapping[str, Any]) -> "LLMShape":
        """Build a shape from the `arch` block of a model's YAML; `head_dim` defaults to `hidden / heads`."""
        names = ("layers", "hidden", "heads", "kv_heads", "mlp", "vocab")
        numbers = {name: int(arch[name]) for name in names}
        head = int(arch.get("head_dim") or numbers["hidden"] // numbers["heads"])
        return cls(**numbers, head_dim=head, experts=Experts.from_arch(arch))

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
        attention = 2 * self.hidden * (self.heads + self.kv_heads) * self.head_dim
        mlp = self.experts.weights(self.hidden, met) if self.experts else 3 * self.hidden * self.mlp
        return self.layers * (attention + int(mlp))


def linears(shape: LLMShape, n: int, width: float, mlp: int) -> list[Op]:
    """Cost of a decoder layer's linear layers, on n tokens in its attention; both profiles agree on them."""
    hidden, queries, keys = shape.hidden, shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
    return [
        linear("q_proj", n, hidden, queries, width),
        linear("k_proj", n, hidden, keys, width, cached=True),
        linear("v_proj", n, hidden, keys, width, cached=True),
        linear("out_proj", n, queries, hidden, width),
        *_mlp(shape, mlp, width),
    ]


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

"""Linear attention in place of a decoder layer's own: a state, and a short convolution, carried from token to token.

The gated delta rule as transformers and flash-linear-attention compute a prefill: in chunks of tokens, whose products
with one another and with the state are products of matrices. Work and traffic grow with the tokens, what is kept does
not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from winnow.harness.cost.op import LINEAR_FLOPS, NORM_FLOPS, Op, linear

CHUNK = 64
"""Tokens that are multiplied with one another."""
FLOAT = 4
"""Bytes of the float32 in which states are kept and chunks computed."""


@dataclass(frozen=True)
class States:
    """Linear attention of a hybrid's layers.

    Attributes
    ----------
    key_heads, value_heads, key_dim, value_dim : int
        Heads of queries and keys, and of values; numbers of a head. A state is ``value_heads x key_dim x value_dim``.
    kernel : int
        Tokens under the convolution.
    every : int
        Each so many-th layer has attention instead, the first of them at ``every - 1``.
    """

    key_heads: int
    value_heads: int
    key_dim: int
    value_dim: int
    kernel: int
    every: int

    @classmethod
    def from_arch(cls, arch: Mapping[str, Any]) -> States | None:
        """Read ``linear`` and ``full_every``; None where there is none."""
        if not arch.get("linear"):
            return None
        return cls(every=int(arch["full_every"]), **{name: int(value) for name, value in arch["linear"].items()})

    @property
    def values(self) -> int:
        """Numbers of a token's values, its gate and its output."""
        return self.value_heads * self.value_dim

    @property
    def mixed(self) -> int:
        """Numbers of a token that pass the convolution: queries, keys, values."""
        return 2 * self.key_heads * self.key_dim + self.values

    @property
    def state(self) -> int:
        """Numbers of the state."""
        return self.value_heads * self.key_dim * self.value_dim

    def weights(self, hidden: int) -> int:
        """Weights of one layer's linear attention."""
        return hidden * (self.mixed + 2 * self.values + 2 * self.value_heads) + self.kernel * self.mixed

    def bytes(self, width: float) -> float:
        """What one layer keeps of a prompt of any length: the state, and the tokens under the convolution."""
        return FLOAT * self.state + width * self.kernel * self.mixed

    def live(self, n: int, hidden: int, width: float) -> float:
        """Largest live set of one layer's linear attention on n tokens, as plain torch modules hold it."""
        chunked = self.value_heads * (4 * self.key_dim + 4 * self.value_dim + 3 * CHUNK)
        return n * (width * (2 * hidden + self.mixed + self.values) + FLOAT * chunked)

    def linears(self, hidden: int, n: int, width: float) -> list[Op]:
        """List the projections of one layer on n tokens."""
        return [
            linear("in_proj_qkv", n, hidden, self.mixed, width),
            linear("in_proj_z", n, hidden, self.values, width),
            linear("in_proj_b", n, hidden, self.value_heads, width),
            linear("in_proj_a", n, hidden, self.value_heads, width),
            linear("out_proj", n, self.values, hidden, width),
        ]

    def ops(self, n: int, width: float) -> list[Op]:
        """List what one layer computes between its projections, on n tokens; the last chunk is filled up."""
        chunks, moved = -(-n // CHUNK), n * self.mixed * width
        within = CHUNK**2 * (2 * self.key_dim + self.value_dim)
        through = 3 * CHUNK * self.key_dim * self.value_dim
        solved = CHUNK**2 * (self.key_dim + self.value_dim)  # a triangle: half of the products
        heads, kept = self.value_heads * chunks, self.bytes(width)
        size = n * self.values
        return [
            Op("conv", LINEAR_FLOPS * (n + self.kernel - 1) * self.kernel * self.mixed, load=moved, store=moved),
            Op("conv_act", 5 * n * self.mixed, load=moved, store=moved),
            Op("delta_rule", LINEAR_FLOPS * heads * (within + through), load=moved, store=size * width, kv_store=kept),
            Op("delta_rule_solve", heads * solved),
            Op("gated_norm", (NORM_FLOPS + 6) * size, load=2 * size * width, store=size * width),
        ]

    def step(self) -> float:
        """Operations of one layer on the state in a decoding step: decay, what it foretells, update, reading."""
        return (1 + 3 * LINEAR_FLOPS) * self.state

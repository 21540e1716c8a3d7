"""A mixture of experts in place of a decoder layer's MLP: a router sends each token to some of many small MLPs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from winnow.harness.cost.op import LINEAR_FLOPS, Op, linear

GATED = 3
"""Linear layers of a gated MLP."""


@dataclass(frozen=True)
class Experts:
    """The experts of every layer.

    Attributes
    ----------
    number, chosen : int
        Experts of a layer, and those that a token passes.
    mlp, shared : int
        Width of an expert, and of the one that all tokens pass (0: there is none).
    gated : bool
        Whether what that one returns has a gate.
    first : int
        The first layer that is a mixture.
    """

    number: int
    chosen: int
    mlp: int
    shared: int = 0
    gated: bool = True
    first: int = 0

    @classmethod
    def from_arch(cls, arch: Mapping[str, Any]) -> Experts | None:
        """Read ``experts``, ``experts_per_token``, ``expert_mlp``, ``shared_mlp``, ``shared_gate``, ``dense_layers``.

        None where there are none.
        """
        if not arch.get("experts"):
            return None
        number, chosen, mlp = (int(arch[name]) for name in ("experts", "experts_per_token", "expert_mlp"))
        shared, first = (int(arch.get(name, 0)) for name in ("shared_mlp", "dense_layers"))
        return cls(number, chosen, mlp, shared, bool(arch.get("shared_gate", True)), first)

    @property
    def width(self) -> int:
        """Inner numbers of one token: those of the experts that it passes."""
        return self.chosen * self.mlp + self.shared

    def weights(self, hidden: int, met: float) -> float:
        """Weights of a layer's MLP that are read where its tokens meet so many of the experts; the router's too."""
        gate = hidden if self.shared and self.gated else 0
        return hidden * (self.number + GATED * (met * self.mlp + self.shared)) + gate

    def met(self, n: int) -> float:
        """Distinct experts that n tokens are expected to meet, if each chooses evenly and by itself.

        A trained router is less even, so that fewer are met: this is the upper end.
        """
        return self.number * (1 - (1 - self.chosen / self.number) ** n)

    def ops(self, hidden: int, n: int, width: float) -> list[Op]:
        """List the linear operators of one layer's MLP on n tokens; each expert that is met is read once."""
        passes, inner = n * self.chosen, self.chosen * n * self.mlp
        routed = Op(
            "experts",
            flops=LINEAR_FLOPS * GATED * hidden * inner,
            weight=GATED * self.met(n) * hidden * self.mlp * width,
            load=(2 * passes * hidden + inner) * width,
            store=(passes * hidden + 2 * inner) * width,
        )
        found = [linear("router", n, hidden, self.number, width), routed]
        if not self.shared:
            return found
        return [
            *found,
            *([linear("shared_gate", n, hidden, 1, width)] if self.gated else []),
            linear("gate_proj", n, hidden, self.shared, width),
            linear("up_proj", n, hidden, self.shared, width),
            linear("down_proj", n, self.shared, hidden, width),
        ]

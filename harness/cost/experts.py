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
    """

    number: int
    chosen: int
    mlp: int
    shared: int = 0

    @classmethod
    def from_arch(cls, arch: Mapping[str, Any]) -> Experts | None:
        """Read ``experts``, ``experts_per_token``, ``expert_mlp`` and ``shared_mlp``; None where there are none."""
        if not arch.get("experts"):
            return None
        number, chosen, mlp = (int(arch[name]) for name in ("experts", "experts_per_token", "expert_mlp"))
        return cls(number, chosen, mlp, int(arch.get("shared_mlp", 0)))

    @property
    def width(self) -> int:
        """Inner numbers of one token: those of the experts that it passes."""
        return self.chosen * self.mlp + self.shared

    def weights(self, hidden: int, met: float) -> float:
        """Weights of a layer's MLP that are read where its tokens meet so many of the experts; the router's too."""
        gate = hidden if self.shared else 0
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
            linear("shared_gate", n, hidden, 1, width),
            linear("gate_proj", n, hidden, self.shared, width),
            linear("up_proj", n, hidden, self.shared, width),
            linear("down_proj", n, self.shared, hidden, width),
        ]

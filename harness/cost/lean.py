"""Layers that are fed an input of their own for each token, and last layers that make no keys (Gemma 4 E2B, E4B)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from winnow.harness.cost.op import NORM_FLOPS, Op, linear


@dataclass(frozen=True)
class Lean:
    """What such an LLM adds and saves.

    Attributes
    ----------
    fed : int
        Numbers that a layer is fed of each token, from a table of its own and from the embeddings.
    readers : int
        How many of the last layers read keys and values of earlier ones; of a prompt's tokens the last one alone passes
        through them.
    wide : bool
        Whether the MLP of these is twice as wide.
    """

    fed: int
    readers: int
    wide: bool

    @classmethod
    def from_arch(cls, arch: Mapping[str, Any]) -> Lean | None:
        """Read ``layer_input``, ``shared_layers`` and ``wide_readers``; None where there are none."""
        if "layer_input" not in arch:
            return None
        return cls(int(arch["layer_input"]), int(arch["shared_layers"]), bool(arch.get("wide_readers", False)))


def feeding(hidden: int, fed: int, feeds: int, n: int, left: int, width: float) -> list[Op]:
    """List what one layer computes to take in what it is fed, and the first layer to make that for all.

    Parameters
    ----------
    hidden, fed, feeds : int
        Width of the model, of what the layer is fed, and of what this layer makes of each token for all of them.
    n, left : int
        Tokens that enter the layer, and those that leave it.
    width : float
        Bytes per element.
    """
    if not fed:
        return []
    made, size = n * feeds, left * hidden
    return [
        *([linear("inputs_proj", n, hidden, feeds, width)] if feeds else []),
        *([Op("inputs_norm", (NORM_FLOPS + 2) * made, load=2 * made * width, store=made * width)] if feeds else []),
        linear("input_gate", left, hidden, fed, width),
        Op("input_act", 6 * left * fed, load=2 * left * fed * width, store=left * fed * width),
        linear("input_proj", left, fed, hidden, width),
        Op("input_norm", (NORM_FLOPS + 1) * size, load=2 * size * width, store=size * width),
    ]

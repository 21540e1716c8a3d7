"""What the cost model says of the same tokens: never in one column with a measured number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.cost import LLMShape
from harness.cost.physical import NAME, prefill_flops

PROFILE = NAME


@dataclass(frozen=True)
class Modelled:
    """A prefill of a batch in the model.

    Attributes
    ----------
    flops : float
        Of the LLM.
    seconds : float or None
        By the roofline; None where the hardware's figures are not known.
    """

    flops: float
    seconds: float | None = None


def modelled(shape: LLMShape, tokens: Sequence[Sequence[int]], attn: str) -> Modelled:
    """Compute what the prefill of some prompts costs, from the tokens that each layer processed."""
    return Modelled(sum(prefill_flops(shape, list(layers), attn) for layers in tokens))

"""What layers of Gemma 4 E2B and E4B get besides hidden states, for the oracles: their inputs, and others' keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from winnow.models.engine.windows import owners
from winnow.models.transformers_api import SHARED, alone


def identities(llm: Any, given: Tensor | None, answer: Tensor) -> Tensor | None:
    """What tokens of prompt and answer are by themselves to each layer, ``(1, n, layers, inputs)``; None: nothing."""
    if given is None:
        return None
    return torch.cat([given, llm.get_per_layer_inputs(answer[None], None)], 1)


def fed(llm: Any, embeds: Tensor, identity: Tensor) -> Tensor:
    """What each layer is fed of each token, ``(..., n, layers, inputs)``."""
    made: Tensor = llm.project_per_layer_inputs(embeds, identity)
    return made


class Keys:
    """Keys and values that layers leave for others, with the tokens that they are of.

    Parameters
    ----------
    llm : nn.Module
    depth : int
        Its layers.
    """

    def __init__(self, llm: Any, depth: int) -> None:
        self.owners, self.types = owners(llm.config, depth), getattr(llm.config, "layer_types", ())
        self.made: dict[int, tuple[dict[str, Any], list[int]]] = {}

    def told(self, module: Any, layer: int, tokens: Sequence[int]) -> dict[str, Any]:
        """What a layer, or its attention, has to be told: a place for its keys, or another's keys of some tokens."""
        told = alone(module)
        owner = self.owners[layer]
        if owner == layer:
            self.made[layer] = told.get(SHARED, {}), list(tokens)
            return told
        made, there = self.made[owner]
        columns = [there.index(token) for token in tokens]
        kind = self.types[layer]
        return {SHARED: {kind: tuple(part[:, :, columns] for part in made[kind])}}

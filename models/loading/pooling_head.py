"""SigLIP's last blocks and pooling head beside a model whose vision tower was cut off in front of them.

LLaVA-OneVision's checkpoints hold 26 of SigLIP's 27 blocks. What the last one, the norm and the head make of a frame,
and where the head looks, come from a SigLIP checkpoint of its own, and compute in float32.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from transformers import SiglipVisionConfig, SiglipVisionModel

from winnow.models.loading.beside import RANDOM, load_beside
from winnow.reducers.core.errors import WinnowError


class PoolingHead:
    """What is needed of a SigLIP vision model.

    Parameters
    ----------
    model : SiglipVisionModel
        Its embeddings and first blocks are let go.
    used : int
        Blocks that the features have passed.
    """

    def __init__(self, model: Any, used: int) -> None:
        self.blocks, self.norm, self.head = list(model.encoder.layers[used:]), model.post_layernorm, model.head

    @torch.no_grad()
    def look(self, features: Tensor) -> Tensor:
        """Go on behind a frame's features, ``(patches, width)``; see `PooledByHead`."""
        states = features.float()[None]
        for block in self.blocks:
            states = block(states, attention_mask=None)
        states = self.norm(states)
        vector, attention = self.head.attention(self.head.probe, states, states)
        vector = vector + self.head.mlp(self.head.layernorm(vector))
        return torch.cat([attention[0].mT, vector[0].expand(len(features), -1)], 1)


@lru_cache(maxsize=1)
def load_pooling_head(checkpoint: str, hidden: int, used: int, device: str) -> PoolingHead:
    """Load a head, the last one asked for from memory.

    Parameters
    ----------
    checkpoint : str
        A repository of the hub, a folder, or ``random``.
    hidden, used : int
        The width of the model's vision tower, and the blocks that its features have passed.
    device : str

    Raises
    ------
    WinnowError
        One line that says what is wrong with the checkpoint, or how to get it.
    """
    if checkpoint == RANDOM:
        return PoolingHead(_random(hidden).to(device).eval(), 0)
    model = load_beside(SiglipVisionModel, checkpoint)
    blocks, width = model.config.num_hidden_layers, model.config.hidden_size
    if width != hidden or blocks < used:
        raise WinnowError(
            f"the pooling head of {checkpoint} stands behind {blocks} blocks of width {width}, but the model's vision "
            f"tower has {used} of width {hidden}: give the SigLIP checkpoint that it comes from"
        )
    return PoolingHead(model.to(device).eval(), used)


def _random(hidden: int) -> Any:
    """Random weights for one block and a head."""
    heads = hidden // 72 if hidden % 72 == 0 else 1
    sizes: dict[str, Any] = {"hidden_size": hidden, "intermediate_size": 4 * hidden, "num_attention_heads": heads}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SiglipVisionModel(SiglipVisionConfig(**sizes, num_hidden_layers=1, image_size=16))

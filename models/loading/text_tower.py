"""CLIP's text tower beside a model, for methods that compare patches with the words of the question.

What a vision tower of CLIP learned together with its text tower is not in the checkpoints of multimodal LLMs: the text
tower with its tokenizer, and the norm and projection that put patches into the same space. They come from a CLIP
checkpoint of its own, and compute in float32.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from transformers import AutoTokenizer, CLIPConfig, CLIPModel

from winnow.models.loading.beside import RANDOM, load_beside
from winnow.models.loading.byte_tokenizer import byte_tokenizer
from winnow.models.loading.pretrained import locate, one_line
from winnow.reducers.core.errors import WinnowError

LENGTH, SMALLEST = 77, 512
"""Tokens that a text tower with random weights takes, and the width below which a vision tower is one for tests."""


class TextTower:
    """What is needed of a CLIP model.

    Parameters
    ----------
    model : CLIPModel
        Its vision tower but for the norm behind it is let go.
    tokenizer
        Of its texts.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.tokenizer, self.text, self.text_projection = tokenizer, model.text_model, model.text_projection
        self.norm, self.projection = model.vision_model.post_layernorm, model.visual_projection
        self.length = model.config.text_config.max_position_embeddings

    @torch.no_grad()
    def read(self, text: str, whole: bool) -> Tensor:
        """One vector for each piece of a text, shape ``(pieces, width)``.

        Parameters
        ----------
        text : str
        whole : bool
            Read what is longer than the tower takes in pieces, the last padded with zeros; False: cut it off.
        """
        limit = {} if whole else {"truncation": True, "max_length": self.length}
        ids = torch.tensor([self.tokenizer(text, verbose=False, **limit)["input_ids"]], device=self.norm.weight.device)
        missing = -ids.shape[1] % self.length if whole else 0
        given = [torch.nn.functional.pad(x, (0, missing)) for x in (ids, torch.ones_like(ids))]
        ids, mask = (x.view(-1, self.length if whole else x.shape[1]) for x in given)
        vectors: Tensor = self.text_projection(self.text(input_ids=ids, attention_mask=mask).pooler_output)
        return vectors

    @torch.no_grad()
    def look(self, features: Tensor) -> Tensor:
        """Put patches of the vision tower, ``(patches, hidden)``, beside the texts: ``(patches, width)``."""
        vectors: Tensor = self.projection(self.norm(features.float()))
        return vectors


@lru_cache(maxsize=1)
def load_text_tower(checkpoint: str, hidden: int, device: str) -> TextTower:
    """Load a text tower, the last one asked for from memory.

    Parameters
    ----------
    checkpoint : str
        A repository of the hub, a folder, or ``random``.
    hidden : int
        The width of the vision tower's features.
    device : str

    Raises
    ------
    WinnowError
        One line that says what is wrong with the checkpoint, or how to get it.
    """
    if checkpoint == RANDOM:
        model, tokenizer = _random(hidden)
    else:
        model, source = load_beside(CLIPModel, checkpoint), locate(checkpoint)
        with one_line(source):
            tokenizer = AutoTokenizer.from_pretrained(source)
    if (own := model.config.vision_config.hidden_size) != hidden:
        raise WinnowError(
            f"the text tower {checkpoint} belongs to a vision tower of width {own}, but the model's has {hidden}: "
            "give the CLIP checkpoint that the model's tower comes from"
        )
    return TextTower(model.to(device).eval(), tokenizer)


def _random(hidden: int) -> tuple[Any, Any]:
    """Random weights at the sizes of CLIP: 12 blocks (2 at sizes for tests), three quarters as wide as the tower."""
    tokenizer, wide, blocks = byte_tokenizer(), -(-hidden * 3 // 4 // 4) * 4, 12 if hidden >= SMALLEST else 2
    heads = max(1, wide // 64) if wide % 64 == 0 else 1
    text = {"hidden_size": wide, "intermediate_size": 4 * wide, "num_attention_heads": heads}
    text |= {"vocab_size": len(tokenizer), "max_position_embeddings": LENGTH, "eos_token_id": 2}
    text |= {"num_hidden_layers": blocks}
    vision = {"hidden_size": hidden, "intermediate_size": 1, "num_hidden_layers": 1, "num_attention_heads": 1}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=wide))
    return model, tokenizer

"""Weights beside the model's, which a method brings: from a checkpoint of their own, in float32."""

from __future__ import annotations

from typing import Any

import torch

from winnow.models.loading.pretrained import check_complete, check_folder, locate, one_line

RANDOM = "random"
"""Stands for weights that are drawn, in place of a checkpoint."""


def load_beside(kind: Any, checkpoint: str) -> Any:
    """Load a model of a transformers class from a repository of the hub or a folder, safetensors alone.

    Raises
    ------
    WinnowError
        One line that says what is wrong with the checkpoint, or how to get it.
    """
    source = locate(checkpoint)
    check_folder(source)
    with one_line(source):
        model, told = kind.from_pretrained(source, dtype=torch.float32, use_safetensors=True, output_loading_info=True)
    check_complete(source, told)
    return model

"""Position ids as models with M-RoPE were trained with them, and a warning where transformers numbers otherwise."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from winnow.models.engine.checks import whole
from winnow.models.families import family_of
from winnow.models.families.base import Family
from winnow.models.families.mrope import position_ids

SIZES = ("image_grid_thw", "video_grid_thw")
BESIDES = ("mm_token_type_ids", "second_per_grid_ts", "attention_mask")


def trained_positions(model: nn.Module, inputs: Mapping[str, Any]) -> Tensor:
    """Position ids of Qwen-VL prompts as the models were trained with them: pass them as ``position_ids``.

    Parameters
    ----------
    model : nn.Module
        A model of transformers with M-RoPE, e.g. `Qwen2_5_VLForConditionalGeneration`.
    inputs : mapping
        What its processor returns. For a later turn on a cache: ids, mask and sizes of the whole conversation.

    Returns
    -------
    Tensor
        Shape ``(3, batch, length)``: temporal, vertical, horizontal.

    Raises
    ------
    UnsupportedError
        For families that count their tokens one by one.
    WinnowError
        If the pictures do not fit the placeholders.
    """
    model = whole(model)
    family = family_of(model)
    return position_ids(family, family.parts(model).outer, inputs)


class Numbering:
    """Tells once of an `attach` that transformers numbers a prompt otherwise than the model was trained.

    Parameters
    ----------
    family : Family
    outer : nn.Module
        See `Parts`.
    """

    def __init__(self, family: Family, outer: Any) -> None:
        self.family, self.outer, self.told = family, outer, not family.mrope

    def look(self, inputs: Mapping[str, Any]) -> None:
        """Warn if transformers is left to number a whole prompt, and does it otherwise."""
        sizes = {name: inputs[name] for name in SIZES if inputs.get(name) is not None}
        if self.told or not sizes or inputs.get("position_ids") is not None or inputs.get("input_ids") is None:
            return
        trained = position_ids(self.family, self.outer, inputs)
        found = self._by_transformers(inputs, sizes)
        if found is None or not torch.equal(found, trained):
            self.told = True
            warnings.warn(
                f"transformers numbers this prompt otherwise than {self.family.name} was trained, so that answers "
                "differ: pass position_ids=winnow.trained_positions(model, inputs)",
                stacklevel=2,
            )

    def _by_transformers(self, inputs: Mapping[str, Any], sizes: Mapping[str, Any]) -> Tensor | None:
        """What the model would count; None where it takes pictures for text, as it is not told the kinds of tokens."""
        told = {name: inputs[name] for name in BESIDES if inputs.get(name) is not None}
        if "mm_token_type_ids" not in told:
            return None
        found: Tensor = self.outer.get_rope_index(inputs["input_ids"], **sizes, **told)[0]
        return found

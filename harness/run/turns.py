"""A second question in the same conversation, answered from the cache that the first one and its answer left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature, LogitsProcessor

from winnow.models.families.conversation import next_turn
from winnow.models.loading.load import Loaded
from winnow.models.transformers_api import CACHE, cache_of

KINDS = ("token_type_ids", "mm_token_type_ids")
"""What tells models the kinds of all tokens of a conversation: those of a later turn are text."""


def ask_again(
    loaded: Loaded,
    inputs: BatchFeature,
    text: str,
    generation: Mapping[str, Any],
    processors: Sequence[LogitsProcessor],
) -> Tensor:
    """Let the model answer a prompt, and then a question of text alone.

    Parameters
    ----------
    loaded : Loaded
        With a method attached, so that the cache holds what that left of the pictures.
    inputs : BatchFeature
        One encoded prompt.
    text : str
        The second question.
    generation : mapping
        Arguments of ``model.generate`` for both answers.
    processors : sequence of LogitsProcessor
        Of the second answer.

    Returns
    -------
    Tensor
        Ids of the second answer, shape ``(1, tokens)``.
    """
    model: Any = loaded.model
    first = model.generate(**inputs, **generation, do_sample=False, return_dict_in_generate=True)
    said = _without_end(first.sequences, inputs["input_ids"].shape[1], model.generation_config.eos_token_id)
    more = torch.tensor([next_turn(loaded.processor, text, **loaded.family.told)], device=said.device)
    ids = torch.cat([said, more], 1)
    given = {name: _longer(inputs[name], ids.shape[1]) for name in KINDS if name in inputs}
    given |= {"input_ids": ids, "attention_mask": torch.ones_like(ids), CACHE: cache_of(first)}
    output = model.generate(**given, **generation, do_sample=False, logits_processor=[*processors])
    return output[:, ids.shape[1] :]


def _without_end(sequences: Tensor, start: int, ends: Any) -> Tensor:
    """A conversation up to the end of its answer; the template writes what ends a turn."""
    ids = torch.tensor([ends] if isinstance(ends, int) else [*(ends or ())], device=sequences.device)
    found = torch.isin(sequences[0, start:], ids).nonzero().flatten()
    return sequences[:, : start + int(found[0])] if len(found) else sequences


def _longer(kinds: Tensor, length: int) -> Tensor:
    return torch.nn.functional.pad(kinds, (0, length - kinds.shape[1]))

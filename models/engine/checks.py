"""Refuses, before the first forward or at its start, what would be silently wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from winnow.models.families.base import Family, Parts
from winnow.models.families.support import impossible
from winnow.models.transformers_api import CACHE_NAMES, attention_of
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import llm_sites, tower_sites
from winnow.reducers.core.tower import Tower

IMPLEMENTATIONS = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4")


def check_model(model: nn.Module, parts: Parts, family: Family, reducer: Reducer) -> None:
    """Refuse models and pairs that the engine cannot reduce exactly; resolves the reducer's schedule on the way.

    Raises
    ------
    UnsupportedError
        Names what would work.
    """
    config: Any = parts.llm.config
    if hasattr(model, "_orig_mod"):
        raise UnsupportedError("torch.compile'd models cannot be hooked: attach to the original model instead")
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise UnsupportedError(f"layers of type {sorted(kinds)} are not supported: only full_attention is")
    if attention_of(config) not in IMPLEMENTATIONS:
        choices = " | ".join(IMPLEMENTATIONS)
        raise UnsupportedError(f"attn={attention_of(config)} is not supported: choose {choices}")
    if reason := impossible(family, reducer, len(parts.layers)):
        raise UnsupportedError(f"reducer={reducer.name} on {family.name}: {reason}")


def check_sites(reducer: Reducer, depth: int, tower: Tower | None) -> None:
    """Refuse sites that the model does not have, where the method would silently never be asked."""
    known = {*llm_sites(depth), *(tower_sites(tower) if tower is not None else ())}
    for site in reducer.sites(depth, tower):
        if site not in known:
            place = f"a vision tower of {tower.used} blocks and " if tower is not None else ""
            where = f"{site} of {site.within}"
            raise WinnowError(f"reducer {reducer.name} acts at {where}, but the model has {place}{depth} LLM layers")


def check_labels(kwargs: Mapping[str, Any]) -> None:
    """Refuse a loss over logits that no longer match the labels."""
    if kwargs.get("labels") is not None:
        raise UnsupportedError("labels= cannot be matched to shortened logits: score the trailing text from the logits")


def check_ids(ids: Tensor | None) -> Tensor:
    """Return the prompts' ids; refuse prompts that do not say where their visual tokens are."""
    if ids is None:
        raise UnsupportedError("inputs_embeds without input_ids hide where the visual tokens are: pass input_ids")
    return ids


def check_padding(mask: object, ids: Tensor) -> Tensor:
    """Return the ``(batch, length)`` padding mask of the prompts; refuse any but left padding."""
    if mask is None:
        return torch.ones_like(ids)
    if not isinstance(mask, Tensor) or mask.ndim != 2:
        raise UnsupportedError(
            "attention_mask must be a (batch, length) mask of 0 and 1: 4-D and dict masks cannot be cut"
        )
    if bool((mask[:, :-1] > mask[:, 1:]).any()):
        raise UnsupportedError("prompts must be padded on the left: set processor.tokenizer.padding_side = 'left'")
    return mask


def check_cache(cache: object) -> None:
    """Refuse caches whose layers cannot differ in length."""
    if cache is not None and type(cache) is not DynamicCache:
        raise UnsupportedError(f"{type(cache).__name__} cannot hold layers of different length: use DynamicCache")


def check_empty(cache: Any) -> None:
    """Stop at the first layer of what was taken for a prefill, if the KV cache holds tokens already."""
    if cache is not None and cache.get_seq_length():
        raise UnsupportedError(
            f"a KV cache of {cache.get_seq_length()} tokens reached the LLM that the model was not given by a name "
            f"known to Winnow: pass it as {' or '.join(CACHE_NAMES)}"
        )


def check_reduction(answer: Reduction, view: View, reducer: Reducer) -> None:
    """Refuse an answer that is no sorted subset of the visual tokens present.

    Raises
    ------
    WinnowError
        Names the reducer and the fault.
    """
    keep, where = answer.keep, f"reducer {reducer.name} at {view.site}"
    if not bool(torch.isin(keep, view.visual).all()):
        raise WinnowError(f"{where} keeps tokens that are not visual tokens of this prompt, or already gone")
    if bool((keep[1:] <= keep[:-1]).any()):
        raise WinnowError(f"{where} returned indices that are not strictly ascending: sort them")
    if answer.drop_text is not None and not bool(torch.isin(answer.drop_text, view.index[1:-1]).all()):
        raise WinnowError(f"{where} drops text that is gone, or the first or last token of the prompt: these must stay")
    if answer.weights is not None and answer.weights.shape != (len(keep), len(view.visual)):
        expected = (len(keep), len(view.visual))
        raise WinnowError(f"{where} returned weights of shape {tuple(answer.weights.shape)}, expected {expected}")

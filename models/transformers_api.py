"""What Winnow reads of transformers that is private, or has changed its name: each with the versions it holds for.

Public classes are imported where they are used. Everything else stands here, so that a new version is met in one place.

====================================  ===============  ================================================================
name                                  versions         what
====================================  ===============  ================================================================
``past_key_values``                   5.17 to 5.23     the KV cache among the arguments and outputs of every forward
``cache``                             from 5.24        the same; the old name is taken until 5.40
``mm_encoder_outputs``                from 5.18        features that `generate` encoded before the prefill, by modality
``get_interface``                     5.17 to 5.24     looks an attention function up; replaced on the table's instance
``config._attn_implementation``       5.17 to 5.24     name of the attention implementation
``cache.layers[i].keys``              5.17 to 5.24     what a layer of a `DynamicCache` holds, ``(batch, heads, n, d)``
``cache.layers[i]``                   5.17 to 5.24     never writes into its tensors: it makes new ones
``layers[i].conv_states``             5.17 to 5.24     of a layer of linear attention; with ``recurrent_states`` what it
                                                       carries on, written in place
``_expand_multimodal_outputs``        from 5.18        repeats encoded pictures for the sequences of a prompt; GLM's own
                                                       repeats them one by one, in the wrong order
``model.rope_deltas``                 5.17 to 5.24     what M-RoPE adds to later positions, for the last prompt alone
``shared_kv_states``                  5.17 to 5.24     where Gemma 4's layers leave keys for others, by type of layer;
                                                       asked for by their attention though none are shared
``project_per_layer_inputs``          5.17 to 5.24     of Gemma 4's LLM: makes what each layer is fed of each token
``per_layer_inputs``                  5.17 to 5.24     what it makes that of besides the embeddings
====================================  ===============  ================================================================
"""

from __future__ import annotations

import inspect
import os
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from copy import copy, deepcopy
from typing import Any

import torch
import transformers
from torch import Tensor
from torch.nn.functional import pad
from transformers import Cache, GenerationMixin
from transformers.cache_utils import LinearAttentionLayer
from transformers.modeling_outputs import BaseModelOutputWithPast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from winnow.reducers.core.errors import UnsupportedError

TESTED = ((5, 17), (5, 24))
"""First and last minor version that the tests have run on."""

CACHE = "cache" if "cache" in BaseModelOutputWithPast.__dataclass_fields__ else "past_key_values"
"""Name of the KV cache in the installed version."""

CACHE_NAMES = ("cache", "past_key_values")
"""Every name that it has had."""

ATTENTION_TABLE: Any = ALL_ATTENTION_FUNCTIONS
"""The process-wide table of attention functions."""

LOOKUP = "get_interface"
"""Name of the table's method that finds a function."""


def check_version(version: str = transformers.__version__) -> None:
    """Refuse versions of transformers that the tests have not run on.

    ``WINNOW_UNTESTED=1`` lets them through with a warning.

    Raises
    ------
    UnsupportedError
        Names the version and those allowed.
    """
    (first, last), found = TESTED, tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if first <= found <= last:
        return
    allowed = f"transformers>={first[0]}.{first[1]},<{last[0]}.{last[1] + 1}"
    told = f"transformers {version} is not tested: install '{allowed}'"
    if os.environ.get("WINNOW_UNTESTED") != "1":
        raise UnsupportedError(f"{told}, or set WINNOW_UNTESTED=1 to go on at your own risk")
    warnings.warn(f"{told}; going on, as WINNOW_UNTESTED=1 says", stacklevel=2)


EXPAND = "_expand_multimodal_outputs"
"""Repeats encoded pictures for the sequences of a prompt."""

TAKES_APART = not hasattr(GenerationMixin, EXPAND)
"""Whether pictures are repeated one by one instead, by all models but the Qwen-VLs."""


def together(model: Any) -> Callable[..., Any] | None:
    """`generate`'s way to repeat all pictures of a prompt together, for models that have another; None for the rest."""
    usual = getattr(GenerationMixin, EXPAND, None)
    if usual is None or getattr(type(model), EXPAND, usual) is usual:
        return None

    def expand(input_ids: Any, mm_encoder_output: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(mm_encoder_output.get("video"), "pooler_output", None) is not None:
            raise UnsupportedError(
                "this model loses films where a prompt has several sequences: give their frames as pictures, or ask "
                "for one sequence"
            )
        return usual(model, input_ids, mm_encoder_output, *args, **kwargs)

    return expand


def cache_of(values: Mapping[str, Any]) -> Any:
    """The KV cache among the arguments, or the outputs, of a forward, whatever its name; None if there is none."""
    named = [values[name] for name in CACHE_NAMES if values.get(name) is not None]
    return next(iter(named + [value for value in values.values() if isinstance(value, Cache)]), None)


def attention_of(config: Any) -> str:
    """Name of the attention implementation that a model with this configuration uses."""
    return str(config._attn_implementation)


def alone(module: Any) -> dict[str, Any]:
    """What a decoder layer, or its attention, wants besides where it is called by itself: a place for keys to share."""
    return {SHARED: {}} if SHARED in inspect.signature(module.forward).parameters else {}


def held_keys(cache: Any, layer: int) -> int | None:
    """How many keys a layer of a KV cache holds (a sliding one forgets what left its window); None before the first."""
    layers = () if cache is None else cache.layers
    keys = getattr(layers[layer], "keys", None) if layer < len(layers) else None
    return None if keys is None else int(keys.shape[-2])


def carries_state(layer: Any) -> bool:
    """Whether a layer of a KV cache holds a state in place of keys and values."""
    return isinstance(layer, LinearAttentionLayer) and not hasattr(layer, "keys")


def shareable(cache: Any) -> bool:
    """Whether layers of a KV cache can be taken as they are: it neither moves them nor waits for a crop."""
    return not getattr(cache, "offloading", False) and not any(getattr(x, "record_past", False) for x in cache.layers)


def taken_layer(cache: Any, layer: int) -> Any:
    """What a layer of a KV cache holds now; keys are shared, as what grows them makes new ones, states are copied."""
    return _taken(cache.layers[layer])


def _taken(layer: Any) -> Any:
    return deepcopy(layer) if carries_state(layer) else copy(layer)


def put_layer(cache: Any, layer: int, taken: Any) -> None:
    """Let a layer of a KV cache, whose layers before are filled, hold what was taken."""
    cache.layers[layer : layer + 1] = [_taken(taken)]


def tensors_of(layer: Any) -> list[Tensor]:
    """What a layer of a KV cache holds."""
    held = layer.__dict__.values() if layer is not None else ()
    inner = [part for value in held for part in (value.values() if isinstance(value, dict) else [value])]
    return [value for value in inner if isinstance(value, Tensor)]


def select_rows(cache: Any, rows: Tensor) -> None:
    """Let a KV cache go on with some rows of its batch alone."""
    for layer in cache.layers:
        (layer.reorder_cache if carries_state(layer) else layer.batch_select_indices)(rows)


def stack_caches(caches: Sequence[Any]) -> Any:
    """One KV cache with the rows of several, whose layers are left empty; shorter ones are padded on the left."""
    made = copy(caches[0])
    made.layers = [_stack_layers(layers) for layers in zip(*(cache.layers for cache in caches), strict=True)]
    return made


def _stack_layers(layers: Sequence[Any]) -> Any:
    if carries_state(layers[0]):
        return _stack_states(layers)
    if all(getattr(layer, "keys", None) is None for layer in layers):  # they read the keys of others
        return copy(layers[0])
    made = copy(max(layers, key=lambda layer: layer.get_seq_length()))
    width = made.keys.shape[-2]
    for name in ("keys", "values"):
        parts = [getattr(layer, name) for layer in layers]
        setattr(made, name, torch.cat([pad(part, (0, 0, width - part.shape[-2], 0)) for part in parts]))
    for layer in layers:
        layer.keys = layer.values = None
    return made


def _stack_states(layers: Sequence[Any]) -> Any:
    made = copy(layers[0])
    for name in ("conv_states", "recurrent_states"):
        parts = [getattr(layer, name) for layer in layers]
        setattr(made, name, {at: torch.cat([part[at] for part in parts]) for at in parts[0]})
    for layer in layers[1:]:
        layer.conv_states, layer.recurrent_states = {}, {}
    return made


SHARED = "shared_kv_states"
"""Argument of Gemma 4's layers in which some leave keys for others."""

FEEDING, FED = "project_per_layer_inputs", "per_layer_inputs"
"""Method of Gemma 4's LLM that makes what each layer is fed of each token, and the argument that it makes it of."""

ROPE_DELTAS = "rope_deltas"
"""Where a model with M-RoPE remembers it."""


def encoded(inputs: Mapping[str, Any], modality: str) -> Any:
    """Output of the tower for ``image`` or ``video`` that `generate` has encoded beforehand; None if it has not."""
    return (inputs.get("mm_encoder_outputs") or {}).get(modality)

"""Refuses, before the first forward or at its start, what would be silently wrong."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from winnow.models.engine.ledger import Ledger
from winnow.models.engine.windows import readers, windows
from winnow.models.families.base import Family, Parts
from winnow.models.families.support import impossible
from winnow.models.transformers_api import CACHE_NAMES, TAKES_APART, attention_of, carries_state, held_keys
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.errors import UnsupportedError, WinnowError
from winnow.reducers.core.layout import Layout
from winnow.reducers.core.reduction import Reduction, View
from winnow.reducers.core.site import Site, llm_sites, tower_sites
from winnow.reducers.core.tower import Tower

PADDED_TURN = (
    "padding behind a cached prompt lets the state of linear attention decay: give later turns one by one, or whole "
    "conversations without a cache"
)
"""Why later turns of unequal length cannot be one batch of a hybrid."""
IMPLEMENTATIONS = ("eager", "sdpa", "flash_attention_2", "flash_attention_3", "flash_attention_4")


def check_model(model: nn.Module, parts: Parts, family: Family, reducer: Reducer) -> None:
    """Refuse models and pairs that the engine cannot reduce exactly; resolves the reducer's schedule on the way.

    Raises
    ------
    UnsupportedError
        Names what would work.
    """
    check_attention(parts)
    config: Any = parts.llm.config
    if any(windows(config, len(parts.layers))) and "flash" in attention_of(config):
        raise UnsupportedError(f"attn={attention_of(config)} counts a sliding window in survivors: choose sdpa | eager")
    if family.both_ways and "flash" in attention_of(config):
        raise UnsupportedError(
            f"attn={attention_of(config)} has no mask in which pictures see each other both ways: choose sdpa | eager"
        )
    if reason := impossible(family, reducer, len(parts.layers), readers(config)):
        raise UnsupportedError(f"reducer={reducer.name} on {family.name}: {reason}")


def whole(model: nn.Module) -> nn.Module:
    """The model of transformers behind a wrapper of PEFT, or behind its tuner (``peft_model.base_model``).

    Raises
    ------
    UnsupportedError
        For a part of a model, and for a compiled one.
    """
    unwrap = getattr(model, "get_base_model", None)
    model = model if unwrap is None else unwrap()
    check_compiled(model)
    inner = getattr(model, "model", None)
    model = inner if isinstance(inner, PreTrainedModel) and not isinstance(model, PreTrainedModel) else model
    if any(hasattr(model, name) for name in ("language_model", "text_model")) and not hasattr(model, "lm_head"):
        raise UnsupportedError(
            f"{type(model).__name__} is a part of a model: attach to the whole, ...ForConditionalGeneration"
        )
    return model


def check_compiled(model: nn.Module) -> None:
    """Refuse modules whose compiled code would not know of hooks."""
    for module in model.modules():
        if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
            raise UnsupportedError(
                f"torch.compile'd modules ({type(module).__name__}) cannot be hooked: attach to the original model"
            )


def check_sites(reducer: Reducer, depth: int, tower: Tower | None) -> None:
    """Refuse sites that the model does not have, where the method would silently never be asked."""
    known = {Site.pixels(depth), *llm_sites(depth), *(Site.decode(number, depth) for number in range(depth))}
    known |= set(tower_sites(tower) if tower is not None else ())
    for site in reducer.sites(depth, tower):
        if site not in known:
            place = f"a vision tower of {tower.used} blocks and " if tower is not None else ""
            where = f"{site} of {site.within}"
            raise WinnowError(f"reducer {reducer.name} acts at {where}, but the model has {place}{depth} LLM layers")


def check_ids(ids: Tensor | None) -> Tensor:
    """Return the prompts' ids; refuse prompts that do not say where their visual tokens are."""
    if ids is None:
        raise UnsupportedError("inputs_embeds without input_ids hide where the visual tokens are: pass input_ids")
    return ids


def check_mask(mask: object, ids: Tensor) -> Tensor | None:
    """Return the padding mask over all tokens so far, ``(batch, length)``; refuse any other kind of mask."""
    if mask is None:
        return None
    binary = isinstance(mask, Tensor) and mask.ndim == 2 and bool(((mask == 0) | (mask == 1)).all())
    if not isinstance(mask, Tensor) or not binary or len(mask) != len(ids) or mask.shape[1] < ids.shape[1]:
        raise UnsupportedError(
            "attention_mask must be a (batch, length) mask of 0 and 1 over all tokens: 4-D, additive and dict masks "
            "cannot be cut"
        )
    return mask


def check_padding(mask: Tensor | None, ids: Tensor, later: bool = False) -> Tensor:
    """Return the ``(batch, length)`` padding mask of the prompts; refuse any but left padding.

    In a later turn the last token of the answer before stands in front of the padding.
    """
    if mask is None:
        return torch.ones_like(ids)
    if bool((mask[:, :-1] & ~mask[:, 1:])[:, 1 if later else 0 :].any()) or not bool(mask[:, -1].all()):
        raise UnsupportedError("prompts must be padded on the left: set processor.tokenizer.padding_side = 'left'")
    return mask


def check_cache(cache: object) -> None:
    """Refuse caches whose layers cannot differ in length."""
    if cache is not None and type(cache) is not DynamicCache:
        raise UnsupportedError(f"{type(cache).__name__} cannot hold layers of different length: use DynamicCache")


def check_states(linear: Collection[int], cache: Any, new: Tensor | None, ledger: Ledger) -> None:
    """Refuse caches without room for states, and padding behind them, in a model whose layers carry some.

    Parameters
    ----------
    linear : collection of int
        See `linear_layers`.
    cache : Any
        The KV cache, or None.
    new : Tensor or None
        Which of the tokens that the call brings are no padding, ``(batch, new)``.
    ledger : Ledger
        Its books.
    """
    layers = () if cache is None else cache.layers
    if cache is not None and not all(at < len(layers) and carries_state(layers[at]) for at in linear):
        raise UnsupportedError("this cache has no room for the states of linear attention: DynamicCache(config=...)")
    if linear and ledger.width and new is not None and not bool(new.all()):
        raise UnsupportedError(PADDED_TURN)


def check_held(cache: Any, ledger: Ledger, within: Sequence[int | None], keyless: Collection[int] = ()) -> None:
    """Stop at the first layer if the KV cache holds other tokens than the books say.

    Parameters
    ----------
    cache : Any
        The KV cache, or None.
    ledger : Ledger
        Its books.
    within : sequence of int or None
        See `windows`.
    keyless : collection of int
        Layers that hold no keys: they carry a state, or read the keys of others.

    Raises
    ------
    UnsupportedError
        Says which layer, and how many it holds.
    """
    held = 0 if cache is None else cache.get_seq_length()
    if held != ledger.entered:
        raise UnsupportedError(
            f"a KV cache of {held} tokens reached the LLM where {ledger.entered} were expected: pass the cache to the "
            f"model as {' or '.join(CACHE_NAMES)}"
        )
    for layer, window in enumerate(within):
        held = held_keys(cache, layer) or 0
        if window is None and layer not in keyless and held != ledger.length(layer):
            raise UnsupportedError(
                f"layer {layer} of the KV cache holds {held} tokens where {ledger.length(layer)} were expected: it was "
                "changed by itself; crop the whole cache, or start with the whole prompt"
            )


def check_turn(family: Family, parts: Parts, prompts: Sequence[Tensor], unnumbered: bool) -> None:
    """Refuse pictures behind a cached prompt where the model does not number them."""
    outer: Any = parts.outer
    if not unnumbered or not family.mrope:
        return
    places = torch.tensor([outer.config.image_token_id, outer.config.video_token_id])
    if any(bool(torch.isin(ids, places).any()) for ids in prompts):
        raise UnsupportedError(
            f"{family.name} does not number pictures behind a cached prompt: pass their position_ids, or the whole "
            "conversation without a cache"
        )


def check_copies(family: Family, layouts: Sequence[Layout], inputs: Mapping[str, Any], copies: int) -> None:
    """Refuse several sequences of a prompt with several pictures where transformers repeats these one by one."""
    if copies == 1 or family.mrope:
        return
    if not TAKES_APART:
        _check_films(layouts, inputs.get("pixel_values_videos"))
        return
    if family.packed and len(layouts) > copies:
        raise UnsupportedError(
            f"transformers 5.17 mixes up the pictures of several prompts of {family.name} where each has several "
            "sequences: give one prompt, or install transformers>=5.18"
        )
    pictures = [len(value) for name, value in inputs.items() if name.startswith("pixel_values") and value is not None]
    if sum(pictures) > sum(bool(layout.spans) for layout in layouts):
        raise UnsupportedError(
            "transformers 5.17 mixes up the pictures of a prompt that has several, and several sequences: ask for one "
            "sequence, or install transformers>=5.18"
        )


def _check_films(layouts: Sequence[Layout], frames: Tensor | None) -> None:
    """Refuse films that `generate` did not encode beforehand, as PerceptionLM's: what it leaves is repeated in rows."""
    holders = sum(any(span.film for span in layout.spans) for layout in layouts)
    if frames is not None and len(frames) > holders:
        raise UnsupportedError(
            "transformers mixes up the frames of a film of this model where a prompt has several sequences: give them "
            "as pictures, or ask for one sequence"
        )


def check_own_pruning(layouts: Sequence[Layout], copies: int) -> None:
    """Refuse several sequences of a film that a model's own rule has pruned, whose features transformers then loses."""
    if copies > 1 and any(layout.gone for layout in layouts):
        raise UnsupportedError(
            "transformers loses a film of which a model's own pruning has taken tokens where a prompt has several "
            "sequences: ask for one sequence, or say model.own_pruning=false"
        )


def check_kinds(family: Family, layouts: Sequence[Layout], kinds: Tensor | None) -> None:
    """Refuse pictures that attend both ways where the model is not told which tokens they are: it would go one way."""
    if family.both_ways and kinds is None and any(layout.spans for layout in layouts):
        raise UnsupportedError(f"{family.name} needs {family.kinds} with pictures: pass all that its processor returns")


def check_kinds_width(family: Family, kinds: Tensor | None, tokens: int) -> None:
    """Refuse kinds of a new turn's tokens alone where the model compares them with those of the whole conversation."""
    if family.both_ways and kinds is not None and kinds.shape[-1] != tokens:
        raise UnsupportedError(
            f"{family.kinds} are of {kinds.shape[-1]} tokens where the conversation has {tokens}: give them for all, 0 "
            "for those of earlier turns"
        )


def check_attention(parts: Parts) -> None:
    """Refuse attention implementations whose masks cannot be cut."""
    config: Any = parts.llm.config
    if attention_of(config) not in IMPLEMENTATIONS:
        raise UnsupportedError(f"attn={attention_of(config)} is not supported: choose {' | '.join(IMPLEMENTATIONS)}")


def check_running(parts: Parts) -> None:
    """Refuse what was switched on since `attach`: another attention, or layers that run twice."""
    check_attention(parts)
    if any(getattr(layer, "gradient_checkpointing", False) and layer.training for layer in parts.layers):
        raise UnsupportedError(
            "gradient checkpointing runs layers twice: call model.eval() or model.gradient_checkpointing_disable()"
        )


def check_reduction(answer: Reduction, view: View, reducer: Reducer, mrope: bool = False) -> None:
    """Refuse an answer that is no sorted subset of the visual tokens present, or cannot be carried out.

    Raises
    ------
    WinnowError
        Names the reducer and the fault.
    """
    keep, where = answer.keep, f"reducer {reducer.name} at {view.site}"
    if not _within(keep, view.visual, view.layout.length):
        raise WinnowError(f"{where} keeps tokens that are not visual tokens of this prompt, or already gone")
    if bool((keep[1:] <= keep[:-1]).any()):
        raise WinnowError(f"{where} returned indices that are not strictly ascending: sort them")
    if mrope and answer.positions != "keep":
        raise UnsupportedError(f"{where} answers positions={answer.positions}, undefined under M-RoPE: use keep")
    if answer.drop_text is not None and not _within(answer.drop_text, view.index[1:-1], view.layout.length):
        raise WinnowError(f"{where} drops text that is gone, or the first or last token of the prompt: these must stay")
    if answer.weights is not None and answer.weights.shape != (len(keep), len(view.visual)):
        expected = (len(keep), len(view.visual))
        raise WinnowError(f"{where} returned weights of shape {tuple(answer.weights.shape)}, expected {expected}")


def check_kept(keep: Tensor, visual: Tensor, reducer: Reducer) -> None:
    """Refuse a choice while decoding that is no sorted subset of the visual tokens that are held."""
    if not bool(torch.isin(keep, visual).all()) or bool((keep[1:] <= keep[:-1]).any()):
        raise WinnowError(f"reducer {reducer.name} reads keys that are not held, or not in ascending order")


def _within(places: Tensor, allowed: Tensor, length: int) -> bool:
    """Whether all places of a prompt are among those allowed."""
    known = torch.zeros(length, dtype=torch.bool)
    known[allowed] = True
    inside = (places >= 0) & (places < length)
    return bool(inside.all()) and bool(known[places].all())

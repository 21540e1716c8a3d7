"""Every way in which transformers can call an attached model: exact, without effect, or refused before it begins.

Three tables, by name, hold for transformers 5.17 to 5.24: the fields of `GenerationConfig`, the arguments of `generate`
and those of a model's forward. A test holds them against the installed version, so that a new name has to be decided
upon; `docs/engine.md` prints them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from winnow.reducers.core.errors import UnsupportedError

if TYPE_CHECKING:
    from winnow.models.families.base import Family

PIXELS = ("pixel_values", "pixel_values_images", "pixel_values_videos")


@dataclass(frozen=True)
class Rule:
    """What becomes of one argument.

    Parameters
    ----------
    verdict : str
        ``exact``: the answers are those of the full model with the dropped tokens masked; ``no effect``: nothing that
        the engine does depends on it; ``refused``.
    why : str
        How it is met, or what to do instead.
    allowed : tuple
        Values that a refused argument may have all the same.
    """

    verdict: str
    why: str = ""
    allowed: tuple[Any, ...] = (None, False)


def _all(names: str, rule: Rule) -> dict[str, Rule]:
    return dict.fromkeys(names.split(), rule)


LOGITS = Rule("no effect", "acts on logits, behind the model")
ENDS = Rule("no effect", "decides when an answer ends")
ANSWER = Rule("no effect", "which of what was computed is given back")
DRAFTS = Rule("exact", "the method sees the prompt alone, never a draft; what is rejected is cropped from every layer")
SEQUENCES = Rule("exact", "all sequences of a prompt keep the same tokens")
UNKNOWN = Rule("no effect", "not a setting of how the model is called")
REMOTE = Rule("refused", "runs code from a hub in place of transformers' own loop: leave it out")

CONFIG: dict[str, Rule] = {
    **_all(
        "max_length max_new_tokens min_length min_new_tokens max_time stop_strings eos_token_id early_stopping", ENDS
    ),
    **_all("forced_bos_token_id forced_eos_token_id exponential_decay_length_penalty", ENDS),
    **_all("temperature top_k top_p min_p top_h typical_p epsilon_cutoff eta_cutoff repetition_penalty", LOGITS),
    **_all("encoder_repetition_penalty no_repeat_ngram_size encoder_no_repeat_ngram_size bad_words_ids", LOGITS),
    **_all("renormalize_logits suppress_tokens begin_suppress_tokens sequence_bias remove_invalid_values", LOGITS),
    **_all("watermarking_config length_penalty", LOGITS),
    **_all("output_logits output_scores return_dict_in_generate", ANSWER),
    "output_attentions": Rule("exact", "eager attention: each layer's matrix over the tokens that it has"),
    "output_hidden_states": Rule("exact", "each layer's states of the tokens that it has: lengths differ"),
    **_all("do_sample num_return_sequences num_beams", SEQUENCES),
    "use_cache": Rule("exact", "without a cache the prompt is reduced anew at each step, from its own last row"),
    "guidance_scale": Rule("exact", "the unconditional prompt has a cache, and books, of its own"),
    **_all("prompt_lookup_num_tokens max_matching_ngram_size num_assistant_tokens", DRAFTS),
    **_all("num_assistant_tokens_schedule assistant_confidence_threshold assistant_lookbehind", DRAFTS),
    **_all("target_lookbehind assistant_ensemble_weight", DRAFTS),
    "is_assistant": Rule("no effect", "marks a configuration as that of an assistant"),
    **_all("pad_token_id bos_token_id decoder_start_token_id", Rule("no effect", "ids of special tokens")),
    **_all("transformers_version _from_model_config _commit_hash", UNKNOWN),
    **_all("compile_config disable_compile", Rule("no effect", "a dynamic cache is never compiled")),
    "max_cache_len": Rule("no effect", "static caches alone read it, which are refused"),
    "cache_implementation": Rule(
        "refused",
        "its layers cannot differ in length: leave it out, or choose dynamic or offloaded",
        (None, "dynamic", "offloaded"),
    ),
    "cache_config": Rule("refused", "belongs to quantised caches: leave it out"),
    "prefill_chunk_size": Rule(
        "exact", "the prompt is prefilled in one piece, at whose end a method chooses; warned of, as it saves no memory"
    ),
    "continuous_batching_config": Rule("refused", "paged caches hold the same tokens in all layers: call generate"),
    "assistant_early_exit": Rule(
        "refused", "the model would draft for itself by some of its layers: give assistant_model"
    ),
    "use_mtp": Rule("refused", "its drafting layers read hidden states of tokens that were dropped: leave it out"),
    "speculation_type": Rule("refused", "its drafter reads hidden states of tokens that were dropped: leave it out"),
    "token_healing": Rule("refused", "rewrites the prompt before its pictures are known: leave it out"),
    **_all(
        "penalty_alpha dola_layers num_beam_groups diversity_penalty constraints force_words_ids low_memory", REMOTE
    ),
}
"""Fields of `GenerationConfig`."""
CONFIG["num_beam_groups"] = Rule(REMOTE.verdict, REMOTE.why, (None, 1))
CONFIG["diversity_penalty"] = Rule(REMOTE.verdict, REMOTE.why, (None, 0.0))

GENERATE: dict[str, Rule] = {
    "inputs": Rule("exact", "the prompt's ids"),
    "generation_config": Rule("exact", "field by field, see above"),
    **_all("logits_processor prefix_allowed_tokens_fn", LOGITS),
    "stopping_criteria": ENDS,
    "streamer": ANSWER,
    "synced_gpus": Rule("refused", "sharded models run empty steps that are no prompt of anybody's: leave it out"),
    "assistant_model": DRAFTS,
    "negative_prompt_ids": Rule("exact", "has a cache, and books, of its own"),
    "negative_prompt_attention_mask": Rule("exact", "likewise"),
    "custom_generate": Rule("refused", "runs another loop than transformers' own: leave it out"),
    "kwargs": Rule("exact", "fields of the configuration, or arguments of the forward"),
}
"""Arguments of `generate`."""

PICTURES = Rule("exact", "pictures of the tokens that this call brings")
PACKED = Rule("refused", "packs several prompts into one row: give each a row of its own, padded on the left")

FORWARD: dict[str, Rule] = {
    "input_ids": Rule("exact", "the prompt, or the tokens that the cache does not hold yet"),
    "attention_mask": Rule("exact", "(batch, length) of 0 and 1, padded on the left; any other is refused"),
    "position_ids": Rule("exact", "gathered with the tokens"),
    "past_key_values": Rule("exact", "a DynamicCache, empty or filled under the same attach; any other is refused"),
    "cache": Rule("exact", "the same, as transformers 5.24 calls it"),
    "use_cache": Rule("exact", "true or false"),
    "inputs_embeds": Rule("exact", "in generate, together with input_ids; refused alone, as the pictures are hidden"),
    **_all(" ".join((*PIXELS, "pixel_attention_mask")), PICTURES),
    **_all("image_sizes image_sizes_videos token_type_ids", PICTURES),
    **_all("image_grid_thw video_grid_thw mm_token_type_ids second_per_grid_ts batch_num_images frames", PICTURES),
    **_all("image_merge_sizes video_merge_sizes video_compression_mask", PICTURES),
    **_all("target_sizes target_sizes_videos", PICTURES),
    **_all("image_token_pooling image_grids image_num_crops video_token_pooling video_grids", PICTURES),
    "downsample_mode": Rule("refused", "set it in the model's configuration, likewise"),
    **_all("image_position_ids video_position_ids num_frames_per_video", PICTURES),
    **_all("input_features input_features_mask", Rule("refused", "sound is nothing that Winnow reduces: leave it out")),
    "per_layer_inputs": Rule("refused", "the model makes them of the prompt: leave it out"),
    "image_hidden_states": Rule("refused", "pictures that were encoded outside: give their pixel_values"),
    "mm_encoder_outputs": Rule("exact", "pictures that generate encoded beforehand"),
    "vision_feature_layer": Rule("refused", "set it in the model's configuration, from which the tower is read"),
    "vision_feature_select_strategy": Rule("refused", "set it in the model's configuration, likewise"),
    "vision_aspect_ratio": Rule("refused", "set it in the model's configuration, likewise"),
    "labels": Rule("refused", "cannot be matched to shortened logits: score the trailing text from the logits"),
    "logits_to_keep": Rule("exact", "columns of what was given, a dropped one is an error; 0: all that are left"),
    "output_attentions": CONFIG["output_attentions"],
    "output_hidden_states": CONFIG["output_hidden_states"],
    "return_dict": ANSWER,
    **_all("num_items_in_batch output_router_logits", Rule("no effect", "for losses and mixtures of experts")),
    **_all("cu_seq_lens_q cu_seq_lens_k max_length_q max_length_k seq_idx", PACKED),
    "is_causal": Rule("refused", "the engine's masks are causal: leave it out", (None, True)),
    **_all("kwargs lm_kwargs", Rule("exact", "of TransformersKwargs, see the names")),
}
"""Arguments of a model's forward, of all families."""


def check_call(rules: Mapping[str, Rule], values: Mapping[str, Any]) -> None:
    """Refuse what the table refuses.

    Raises
    ------
    UnsupportedError
        Names the argument, its value and what to do.
    """
    for name, value in values.items():
        rule = rules.get(name)
        if rule is not None and rule.verdict == "refused" and not _among(value, rule.allowed):
            shown = f"={value}" if isinstance(value, str | int | float) else ""
            raise UnsupportedError(f"{name}{shown} {rule.why}")


def _among(value: Any, allowed: Sequence[Any]) -> bool:
    return not isinstance(value, Tensor) and any(
        value is one or (value == one and type(value) is type(one)) for one in allowed
    )


class Call:
    """One call of `generate`: what its prompt is, whatever the forwards within bring.

    Parameters
    ----------
    ids : Tensor or None
        The prompts, ``(batch, length)``, with all that a cache may hold of them.
    width : int
        Columns of the prompts.
    numbered : bool
        Whether the caller gave position ids.
    sizes : mapping or None
        What it gave of `Family.sizes`, which the forwards within do not see.

    Attributes
    ----------
    first : bool
        Whether the forward to come is the call's first.
    """

    def __init__(self, ids: Tensor | None, width: int, numbered: bool, sizes: Mapping[str, Any] | None = None) -> None:
        self.ids, self.width, self.numbered, self.first = ids, width, numbered, True
        self.sizes = {} if sizes is None else sizes
        self.prompts = 1 if ids is None else len(ids)

    def begins(self, ids: Tensor) -> bool:
        """Whether some rows of ids begin with the prompts."""
        copies, rest = divmod(len(ids), self.prompts)
        if self.ids is None or rest or ids.shape[1] < self.width or self.ids.shape[1] != self.width:
            return False
        return torch.equal(ids[:, : self.width], self.ids.to(ids.device).repeat_interleave(copies, 0))

    def ids_of(self, kwargs: Mapping[str, Any]) -> Tensor | None:
        """The ids of embeddings that were given with them."""
        embeds = kwargs.get("inputs_embeds")
        if embeds is None or self.ids is None or embeds.shape[1] != self.width or len(embeds) % self.prompts:
            return None
        return self.ids.to(embeds.device).repeat_interleave(len(embeds) // self.prompts, 0)


def check_generate(model: Any, bound: Mapping[str, Any]) -> None:
    """Refuse a call of `generate` before its first forward; see `check_call`."""
    if bound.get("assistant_model") is model:
        raise UnsupportedError("assistant_model is the model itself, under the same method: give it another one")
    check_call(GENERATE, bound)
    check_call(FORWARD, bound.get("kwargs", {}))
    check_drafts(model, bound)
    for name in CONFIG:
        check_call(CONFIG, {name: configured(model, bound, name)})


def check_drafts(model: Any, bound: Mapping[str, Any]) -> None:
    """Refuse drafts for a model whose layers carry a state, which cannot forget what is rejected."""
    if (asked := drafts(model, bound)) and getattr(model, "_is_stateful", False):
        raise UnsupportedError(
            f"{asked}: {type(model).__name__} carries a state, which cannot forget rejected drafts: leave it out"
        )


def check_late_drafts(model: Any, family: Family, bound: Mapping[str, Any]) -> None:
    """Refuse drafts in a later turn with pictures, where transformers counts or masks them wrongly."""
    pictures = any(bound.get("kwargs", {}).get(name) is not None for name in PIXELS)
    if pictures and not family.late_drafts and (asked := drafts(model, bound)):
        raise UnsupportedError(
            f"{asked}: in a later turn with pictures {type(model).__name__} is wrong about its drafts: leave it out, "
            "or pass the conversation as one prompt"
        )


def drafts(model: Any, bound: Mapping[str, Any]) -> str:
    """Which option of a call of `generate` asks for drafts; empty: none."""
    found = {name: configured(model, bound, name) for name in ("prompt_lookup_num_tokens",)}
    found["assistant_model"] = bound.get("assistant_model")
    return next((name for name, value in found.items() if value is not None), "")


def configured(model: Any, bound: Mapping[str, Any], name: str) -> Any:
    """What a call of `generate` has for a field of `GenerationConfig`: named, in its configuration, or the model's."""
    own = getattr(bound.get("generation_config"), name, None)
    default = getattr(model.generation_config, name, None)
    return bound.get("kwargs", {}).get(name, default if own is None else own)

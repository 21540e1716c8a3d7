"""The table of supported families; each is imported when it is used."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from winnow.reducers.core.errors import UnsupportedError, WinnowError, choose

if TYPE_CHECKING:
    from torch import nn

    from winnow.models.families.base import Family

FAMILIES = {
    "gemma3": "winnow.models.families.gemma3:Gemma3",
    "gemma4": "winnow.models.families.gemma4:Gemma4",
    "gemma4_e": "winnow.models.families.gemma4_e:Gemma4E",
    "internvl": "winnow.models.families.internvl:InternVL",
    "llava": "winnow.models.families.llava:Llava",
    "llava_next": "winnow.models.families.llava_next:LlavaNext",
    "llava_next_video": "winnow.models.families.llava_next_video:LlavaNextVideo",
    "llava_onevision": "winnow.models.families.llava_onevision:LlavaOnevision",
    "qwen2_vl": "winnow.models.families.qwen2_vl:Qwen2VL",
    "video_llava": "winnow.models.families.video_llava:VideoLlava",
    "qwen2_5_vl": "winnow.models.families.qwen2_5_vl:Qwen25VL",
    "qwen3_vl": "winnow.models.families.qwen3_vl:Qwen3VL",
    "qwen3_vl_moe": "winnow.models.families.qwen3_vl_moe:Qwen3VLMoe",
    "qwen3_5": "winnow.models.families.qwen3_5:Qwen35",
    "qwen3_5_moe": "winnow.models.families.qwen3_5_moe:Qwen35Moe",
    "smolvlm": "winnow.models.families.smolvlm:SmolVLM",
    "glm4v": "winnow.models.families.glm4v:Glm4v",
    "glm46v": "winnow.models.families.glm46v:Glm46v",
    "glm4v_moe": "winnow.models.families.glm4v_moe:Glm4vMoe",
    "minicpmv4_6": "winnow.models.families.minicpmv4_6:MiniCPMV46",
    "molmo2": "winnow.models.families.molmo2:Molmo2",
    "video_llama_3": "winnow.models.families.video_llama_3:VideoLlama3",
    "perception_lm": "winnow.models.families.perception_lm:PerceptionLM",
    "pllava": "winnow.models.families.pllava:Pllava",
    "vila": "winnow.models.families.vila:Vila",
    "longva": "winnow.models.families.longva:LongVA",
    "llava_video": "winnow.models.families.llava_video:LlavaVideo",
}
"""Family name -> class; the name is also what `kind_of` says of a model's configuration."""

SINCE = {
    "molmo2": "5.23",
}
"""Versions of transformers that families need, where the oldest one that Winnow supports lacks them."""


def missing(name: str) -> str:
    """The version of transformers that a family needs; empty where the installed one is new enough."""
    installed, needed = (
        [int(part) for part in re.findall(r"\d+", told)[:2]]
        for told in (version("transformers"), SINCE.get(name, "0.0"))
    )
    return SINCE[name] if installed < needed else ""


FAMILIES = {name: target for name, target in FAMILIES.items() if not missing(name)}


def target_of(name: str) -> str:
    """Where the class of a family is, ``module:Class``.

    Raises
    ------
    WinnowError
        Lists the families, or tells the version of transformers that this one needs.
    """
    if needed := missing(name):
        raise WinnowError(
            f"model family '{name}' needs transformers>={needed}, and {version('transformers')} is installed: "
            f"pip install 'transformers>={needed}'"
        )
    if name not in FAMILIES:
        raise WinnowError(f"model family '{name}' is not known: {choose(name, FAMILIES)}")
    return FAMILIES[name]


def find_family(name: str) -> Family:
    """Find a family by name; errors as of `target_of`."""
    module, _, cls = target_of(name).partition(":")
    made: Family = getattr(importlib.import_module(module), cls)()
    return made


def kind_of(config: Any) -> str:
    """The type of a model, see `kind_in`."""
    text = getattr(config, "text_config", None)
    more = {"text_config": {} if text is None else vars(text)}
    return kind_in({"family": getattr(config, "family", None), "model_type": config.model_type} | more)


def kind_in(listed: Mapping[str, Any]) -> str:
    """The type of a model that a ``config.json`` lists.

    Hugging Face's ``model_type``, or the family of one that Winnow has composed; of Gemma 4 the sizes whose layers have
    inputs of their own, or share keys, are another one.
    """
    kind, text = str(listed.get("family") or listed.get("model_type")), listed.get("text_config") or {}
    small = any(text.get(name) for name in ("num_kv_shared_layers", "hidden_size_per_layer_input"))
    return "gemma4_e" if kind == "gemma4" and small else kind


def family_of(model: nn.Module) -> Family:
    """Find the family of a loaded model.

    Raises
    ------
    UnsupportedError
        Lists the families.
    """
    config: Any = getattr(model, "config", None)
    kind = kind_of(config) if config is not None else type(model).__name__
    if kind not in FAMILIES:
        raise UnsupportedError(f"models of type '{kind}' are not supported: choose one of {', '.join(FAMILIES)}")
    return find_family(kind)

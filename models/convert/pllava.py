"""PLLaVA: transformers' names of 2024, the LLM perhaps with its LoRA matrices beside its weights.

Names follow from `models/pllava/modeling_pllava.py` of magic-research/PLLaVA. `tasks/eval/model_utils.py` wraps the LLM
by PEFT, on q and v with rank 128, and loads a checkpoint on top; `scripts/eval.sh` runs it with ``lora_alpha=4``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor
from transformers import AutoConfig

from winnow.models.composed import ComposedConfig
from winnow.models.convert.checkpoint import Checkpoint
from winnow.models.convert.original import Original, chat_template

if TYPE_CHECKING:
    from winnow.models.families.composed import Composed

LORA_ALPHA = 4
"""`scripts/eval.sh`."""
LORA = re.compile(r"(.+)\.lora_A\.(?:default\.)?weight")


def merge(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Add each pair of LoRA matrices, ``B A * alpha / rank``, to its weight, and take PEFT's words out of the names."""
    merged = {name.replace(".base_layer.", "."): tensor for name, tensor in tensors.items() if ".lora_" not in name}
    for name, down in tensors.items():
        if pair := LORA.fullmatch(name):
            up, weight = tensors.get(name.replace(".lora_A.", ".lora_B.")), f"{pair[1]}.weight"
            if up is None or weight not in merged:
                merged[name] = down  # half a pair: reported as unknown
                continue
            change = up.float() @ down.float() * (LORA_ALPHA / len(down))
            merged[weight] = (merged[weight].float() + change).to(merged[weight].dtype)
    return {name.replace("language_model.base_model.model.", "language_model."): t for name, t in merged.items()}


def config(checkpoint: Checkpoint, family: Composed, tensors: Mapping[str, Tensor]) -> ComposedConfig:
    """Read both parts from ``config.json``; what it leaves out has the default of a 7B Llama and of CLIP-L/14-336."""
    written = checkpoint.json("config.json")
    tower: dict[str, Any] = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
    }
    tower |= {"image_size": 336, "patch_size": 14, "model_type": "clip_vision_model"}
    text = AutoConfig.for_model(**({"model_type": "llama"} | (written.get("text_config") or {})))
    return ComposedConfig(
        family=family.name,
        vision_config=AutoConfig.for_model(**(tower | (written.get("vision_config") or {}))),
        text_config=text,
        image_token_id=text.vocab_size,
        tie_word_embeddings=text.tie_word_embeddings,
        **(dict(family.structure) | {"vision_feature_layer": written.get("vision_feature_layer", -2)}),
    )


def template(tokenizer: Any) -> str:
    """Template `plain` of `tasks/eval/eval_utils.py`, in the spelling of its benchmarks."""
    return chat_template("USER: ", " ASSISTANT:")


ORIGINAL = Original(
    recognise=lambda written: written.get("model_type") == "pllava",
    config=config,
    template=template,
    names=(
        (r"vision_tower\.(?:vision_model\.)?(.+)", r"model.vision_tower.\1"),
        (r"multi_modal_projector\.(linear_[12]\..+)", r"model.multi_modal_projector.\1"),
        (r"language_model\.model\.(.+)", r"model.language_model.\1"),
        (r"language_model\.lm_head\.weight", "lm_head.weight"),
    ),
    unused=(r".*\.embeddings\.position_ids", r".*\.rotary_emb\.inv_freq", "image_newline"),
    unverified="names follow from the public code, the released files were not seen, nor whether they hold LoRA "
    f"matrices (which are merged with alpha {LORA_ALPHA})",
    prepare=merge,
)

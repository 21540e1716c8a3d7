"""LongVA and LLaVA-Video as LLaVA's code saves them: one model, ``mm_`` fields in a Qwen2 configuration.

Names follow from the modules: `longva/longva/model/llava_arch.py`, `multimodal_encoder/clip_encoder.py` and
`language_model/llava_qwen.py` of EvolvingLMMs-Lab/LongVA; `llava/model/llava_arch.py`,
`multimodal_encoder/siglip_encoder.py` and `multimodal_projector/builder.py` (``mlp2x_gelu``) of LLaVA-VL/LLaVA-NeXT.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor
from transformers import CLIPVisionConfig, Qwen2Config, SiglipVisionConfig

from winnow.models.composed import ComposedConfig
from winnow.models.convert.checkpoint import Checkpoint
from winnow.models.convert.original import Original, chat_template, tower_numbers
from winnow.reducers.core.errors import WinnowError

if TYPE_CHECKING:
    from winnow.models.families.composed import Composed

TOWER = "model.vision_tower.vision_tower.vision_model."
CLIP = f"{TOWER}embeddings.class_embedding"
FIRST = f"{TOWER}embeddings.patch_embedding.weight"


def config(checkpoint: Checkpoint, family: Composed, tensors: Mapping[str, Tensor]) -> ComposedConfig:
    """Read the LLM's numbers from ``config.json``, the tower's off its tensors."""
    if FIRST not in tensors:
        raise WinnowError(f"{checkpoint.source} does not hold its vision tower: {FIRST} is missing")
    found = "clip" if CLIP in tensors else "siglip"
    if found != family.tower_kind:
        raise WinnowError(f"{checkpoint.source} holds a {found} tower, but '{family.name}' has {family.tower_kind}")
    written = checkpoint.json("config.json")
    known = (Qwen2Config().to_dict().keys() | {"rope_theta", "rope_scaling"}) - {"model_type", "architectures"}
    text = Qwen2Config(**{name: value for name, value in written.items() if name in known})
    numbers = tower_numbers(tensors, TOWER)
    tower = CLIPVisionConfig(**numbers) if found == "clip" else SiglipVisionConfig(**numbers, vision_use_head=False)
    return ComposedConfig(
        family=family.name,
        vision_config=tower,
        text_config=text,
        image_token_id=text.vocab_size,
        tie_word_embeddings=text.tie_word_embeddings,
        **family.structure,
    )


def template(tokenizer: Any) -> str:
    """Template `qwen_1_5` of both repositories' `conversation.py`."""
    system = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
    return chat_template(f"{system}<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")


ORIGINAL = Original(
    recognise=lambda written: "mm_vision_tower" in written and "llm_cfg" not in written,
    config=config,
    template=template,
    names=(
        (r"model\.vision_tower\.vision_tower\.vision_model\.(.+)", r"model.vision_tower.\1"),
        (r"model\.mm_projector\.0\.(weight|bias)", r"model.multi_modal_projector.linear_1.\1"),
        (r"model\.mm_projector\.2\.(weight|bias)", r"model.multi_modal_projector.linear_2.\1"),
        (r"model\.image_newline", "model.image_newline"),
        (r"model\.((embed_tokens|layers|norm)\..+)", r"model.language_model.\1"),
        (r"lm_head\.weight", "lm_head.weight"),
    ),
    unused=(r".*\.embeddings\.position_ids", r".*\.rotary_emb\.inv_freq", r".*\.vision_model\.head\..+"),
    unverified="names and configuration follow from the public code, the released files were not seen",
)

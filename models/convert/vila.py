"""VILA1.5: three folders, ``llm``, ``vision_tower`` and ``mm_projector``, each with its weights and configuration.

As `save_pretrained` of `llava/model/llava_arch.py` of NVlabs/VILA writes them. Names in the projector follow from
`multimodal_projector/base_projector.py` (``mlp_downsample``: 1 a norm, 2 and 4 linear), in the InternViT of VILA1.5-40B
from `multimodal_encoder/intern/modeling_intern_vit.py`, which fuses q, k and v.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor
from transformers import AutoConfig, InternVLVisionConfig, SiglipVisionConfig

from winnow.models.composed import ComposedConfig
from winnow.models.convert.checkpoint import Checkpoint
from winnow.models.convert.original import Original, chat_template
from winnow.reducers.core.errors import WinnowError

if TYPE_CHECKING:
    from winnow.models.families.composed import Composed

FUSED = re.compile(r"(vision_tower\.encoder\.layers\.\d+\.attn)\.qkv\.(weight|bias)")


def split(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Split the fused projections of InternViT."""
    made: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if fused := FUSED.fullmatch(name):
            made |= {f"{fused[1]}.{part}_proj.{fused[2]}": t for part, t in zip("qkv", tensor.chunk(3), strict=True)}
        else:
            made[name] = tensor
    return made


def config(checkpoint: Checkpoint, family: Composed, tensors: Mapping[str, Tensor]) -> ComposedConfig:
    """Read the three configurations; blocks of the tower behind the selected layer are left out."""
    kind = checkpoint.json("mm_projector/config.json").get("mm_projector_type")
    if kind != "mlp_downsample":
        raise WinnowError(f"{checkpoint.source} has a projector of type {kind}, VILA1.5's is mlp_downsample")
    text = AutoConfig.for_model(**checkpoint.json("llm/config.json"))
    return ComposedConfig(
        family=family.name,
        vision_config=_tower(checkpoint),
        text_config=text,
        image_token_id=text.vocab_size,
        tie_word_embeddings=text.tie_word_embeddings,
        **family.structure,
    )


def _tower(checkpoint: Checkpoint) -> Any:
    written = checkpoint.json("vision_tower/config.json")
    written = written.get("vision_config", written)
    layer = checkpoint.json("config.json").get("mm_vision_select_layer", -2)
    numbers = {name: written[name] for name in NUMBERS if name in written}
    if written.get("model_type") != "intern_vit_6b":
        numbers["num_hidden_layers"] = numbers.get("num_hidden_layers", 27) + 1 + layer
        return SiglipVisionConfig(**(SO400M | numbers), vision_use_head=False)
    numbers["num_hidden_layers"] = numbers.get("num_hidden_layers", 48) + 1 + layer
    return InternVLVisionConfig(
        **(INTERN_6B | numbers),
        attention_bias=written.get("qkv_bias", False),
        use_qk_norm=written.get("qk_normalization", True),
        norm_type="rms_norm",
    )


NUMBERS = (
    "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "image_size", "patch_size",
    "layer_norm_eps", "hidden_act",
)  # fmt: skip
SO400M = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_attention_heads": 16, "image_size": 384, "patch_size": 14
}  # fmt: skip
"""What a SigLIP configuration may leave out: google/siglip-so400m-patch14-384."""
INTERN_6B = {
    "hidden_size": 3200, "intermediate_size": 12800, "num_attention_heads": 25, "image_size": 448, "patch_size": 14
}  # fmt: skip
"""What an InternViT configuration may leave out: `intern/configuration_intern_vit.py`, at 448 pixels."""


def template(tokenizer: Any) -> str:
    """Templates `hermes-2` (40B, whose vocabulary has ChatML) and `llama_3` of `llava/conversation.py`."""
    if "<|im_start|>" in tokenizer.get_vocab():
        system = "<|im_start|>system\nAnswer the questions.<|im_end|>"
        return chat_template(f"{system}<|im_start|>user\n", "<|im_end|><|im_start|>assistant\n")
    header = "<|start_header_id|>{}<|end_header_id|>\n\n".format
    task = (
        "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
        "provides, and assist the user with a variety of tasks using natural language."
    )
    start = f"<|begin_of_text|>{header('system')}{task}<|eot_id|>{header('user')}"
    return chat_template(start, f"<|eot_id|>{header('assistant')}")


BLOCK = r"vision_tower\.encoder\.layers\.(\d+)\."
OURS = r"model.vision_tower.encoder.layer.\1."
ORIGINAL = Original(
    recognise=lambda written: "llm_cfg" in written,
    config=config,
    template=template,
    names=(
        (r"llm\.model\.(.+)", r"model.language_model.\1"),
        (r"llm\.lm_head\.weight", "lm_head.weight"),
        (r"mm_projector\.layers\.1\.(.+)", r"model.multi_modal_projector.norm.\1"),
        (r"mm_projector\.layers\.2\.(.+)", r"model.multi_modal_projector.linear_1.\1"),
        (r"mm_projector\.layers\.4\.(.+)", r"model.multi_modal_projector.linear_2.\1"),
        (r"vision_tower\.vision_model\.(.+)", r"model.vision_tower.\1"),
        (r"vision_tower\.embeddings\.class_embedding", "model.vision_tower.embeddings.cls_token"),
        (
            r"vision_tower\.embeddings\.patch_embedding\.(.+)",
            r"model.vision_tower.embeddings.patch_embeddings.projection.\1",
        ),
        (r"vision_tower\.embeddings\.position_embedding", "model.vision_tower.embeddings.position_embeddings"),
        (BLOCK + r"attn\.([qk]_norm|[qkv]_proj)\.(.+)", OURS + r"attention.\2.\3"),
        (BLOCK + r"attn\.proj\.(.+)", OURS + r"attention.projection_layer.\2"),
        (BLOCK + r"norm1\.(.+)", OURS + r"layernorm_before.\2"),
        (BLOCK + r"norm2\.(.+)", OURS + r"layernorm_after.\2"),
        (BLOCK + r"ls([12])", OURS + r"lambda_\2"),
        (BLOCK + r"mlp\.(.+)", OURS + r"mlp.\2"),
    ),
    unused=(r".*\.embeddings\.position_ids", r".*\.rotary_emb\.inv_freq", r"vision_tower\.vision_model\.head\..+"),
    unverified="names and folders follow from the public code, the released files were not seen",
    folders={"llm/": "llm.", "vision_tower/": "vision_tower.", "mm_projector/": "mm_projector."},
    prepare=split,
    tokenizer="llm",
)

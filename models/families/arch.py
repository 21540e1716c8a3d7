"""Language-model configurations from architecture numbers, shared by the families."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from transformers import LlamaConfig, MistralConfig, PretrainedConfig, Qwen2Config, Qwen3Config

from winnow.models.families.support import readers_of
from winnow.reducers.core.errors import WinnowError

LLMS: dict[str, Callable[..., PretrainedConfig]] = {
    "qwen2": Qwen2Config,
    "qwen3": Qwen3Config,
    "llama": LlamaConfig,
    "mistral": partial(MistralConfig, sliding_window=None),
}

OF_FULL_SIZE = ("head_dim", "window", "full_layers", "deepstack", "shuffle", "pool", "query_scale", "rotary")
"""Numbers that make no sense on a smaller model; a family has its own for those."""
TINY_INPUT = 8
"""Numbers that a layer of a model for tests is fed of each token, where layers are."""
TINY_FULL = {"kv_heads": 1, "head_dim": 32}
"""Heads of the layers of a model for tests that see everything, where they are others than those of sliding layers."""


def llm_config(arch: Mapping[str, Any], tokens: Mapping[str, int]) -> PretrainedConfig:
    """Build the decoder's configuration.

    Parameters
    ----------
    arch : mapping
        ``llm`` (one of `LLMS`), ``layers``, ``hidden``, ``heads``, ``kv_heads``, ``mlp``, ``vocab``, ``tied``.
    tokens : mapping
        Ids of the special tokens ``<pad>``, ``<s>``, ``</s>``.
    """
    if arch["llm"] not in LLMS:
        raise WinnowError(f"arch.llm={arch['llm']} is not known: choose {' | '.join(LLMS)}")
    return LLMS[arch["llm"]](
        vocab_size=max(arch["vocab"], max(tokens.values()) + 1),
        hidden_size=arch["hidden"],
        intermediate_size=arch["mlp"],
        num_hidden_layers=arch["layers"],
        num_attention_heads=arch["heads"],
        num_key_value_heads=arch["kv_heads"],
        max_position_embeddings=arch.get("context", 32768),
        tie_word_embeddings=arch["tied"],
        **({"head_dim": arch.get("head_dim", arch["hidden"] // arch["heads"])} if arch["llm"] == "qwen3" else {}),
        pad_token_id=tokens["<pad>"],
        bos_token_id=tokens["<s>"],
        eos_token_id=tokens["</s>"],
    )


def vit_numbers(arch: Mapping[str, Any]) -> dict[str, int]:
    """Numbers of a CLIP or SigLIP tower as transformers names them, from the ``vision`` block of an architecture."""
    vision = arch["vision"]
    return {
        "hidden_size": vision["hidden"],
        "intermediate_size": vision["mlp"],
        "num_hidden_layers": vision["layers"],
        "num_attention_heads": vision["heads"],
        "image_size": vision["image"],
        "patch_size": vision["patch"],
    }


def tiny(arch: Mapping[str, Any], image: int = 20) -> dict[str, Any]:
    """Shrink an architecture to a size for tests, with the proportions that matter: grouped heads, odd patch grids.

    The LLM gets ``tiny_layers`` layers if the architecture says so, else 6; pictures have `image` pixels along a side.
    """
    vision = {key: value for key, value in arch["vision"].items() if key not in OF_FULL_SIZE}
    vision |= {"layers": 3, "hidden": 32, "heads": 4, "mlp": 64, "image": image, "patch": 4}
    llm = {"layers": arch.get("tiny_layers", 6), "hidden": 64, "heads": 4, "mlp": 128, "vocab": 320}
    kv_heads = 2 if arch["kv_heads"] < arch["heads"] else 4
    if "linear" in arch:
        llm |= {"linear": {"key_heads": 2, "value_heads": 4, "key_dim": 8, "value_dim": 8, "kernel": 4}}
    if "merged_after" in vision:
        vision |= {"merged_after": 2}
    if "full" in arch:
        llm |= {"full": {name: TINY_FULL[name] for name in arch["full"]}}
    if "shared_layers" in arch:
        llm |= {"shared_layers": readers_of(True, llm["layers"]), "layer_input": TINY_INPUT, "sliding_pattern": 3}
    if "experts" in arch:
        llm |= {"experts": 4, "experts_per_token": 2, "expert_mlp": 32}
        llm |= {"shared_mlp": 32} if "shared_mlp" in arch else {}
    kept = {key: value for key, value in arch.items() if key not in OF_FULL_SIZE}
    return kept | llm | {"kv_heads": kv_heads, "vision": vision}

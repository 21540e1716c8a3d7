"""A checkpoint's own way of generating is not the benchmark's: it is set aside, and told."""

from __future__ import annotations

from typing import Any

from transformers import GenerationConfig

TOKENS = ("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id")
"""What belongs to the model: which tokens end an answer, and which fill a batch."""
RECORDS = ("transformers_version", "_from_model_config", "_commit_hash")


def set_aside(model: Any) -> dict[str, Any]:
    """Let `generate` decode greedily with a cache, unless its caller says otherwise.

    Released checkpoints bring sampling, penalties, beams, forbidden tokens, static caches or none with them. A task's
    settings say how its answers are made, so that models are compared alike.

    Parameters
    ----------
    model : PreTrainedModel
        Changed in place.

    Returns
    -------
    dict
        What the checkpoint wanted, by name.
    """
    wanted: GenerationConfig | None = getattr(model, "generation_config", None)
    if wanted is None:
        return {}
    asked = wanted.to_diff_dict()
    habits = {name: value for name, value in asked.items() if name not in (*TOKENS, *RECORDS)}
    model.generation_config = GenerationConfig(**{name: getattr(wanted, name) for name in TOKENS})
    for config in {id(part): part for part in (model.config, model.config.get_text_config())}.values():
        if getattr(config, "use_cache", True) is not True:
            habits["use_cache"], config.use_cache = config.use_cache, True
    return habits

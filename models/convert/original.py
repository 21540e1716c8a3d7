"""From an original checkpoint to a composed model: what all layouts share."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForImageTextToText, AutoTokenizer, ProcessorMixin

from winnow.models.composed import ComposedConfig, ComposedForConditionalGeneration
from winnow.models.convert.checkpoint import Checkpoint
from winnow.reducers.core.errors import WinnowError

if TYPE_CHECKING:
    from winnow.models.families.composed import Composed

ENDS = ("<|im_end|>", "<|eot_id|>", "</s>", "<|end_of_text|>")
"""Tokens that end an answer, wherever the vocabulary has them."""
SHOWN = 8


@dataclass(frozen=True)
class Original:
    """What is to be known about a layout.

    Parameters
    ----------
    recognise : callable
        Whether a ``config.json`` is of this layout.
    config : callable
        Makes our configuration from the checkpoint and its tensors.
    template : callable
        Makes the chat template, given the tokenizer.
    names : sequence of (str, str)
        Regular expressions of its names, and ours; the first that fits the whole name counts.
    unused : sequence of str
        Regular expressions of names that the model does not need.
    unverified : str
        What nobody has seen.
    folders : mapping
        Folder -> prefix of the tensors in it.
    prepare : callable
        Joins or splits tensors before they are renamed.
    tokenizer : str
        Folder of the tokenizer.
    """

    recognise: Callable[[Mapping[str, Any]], bool]
    config: Callable[[Checkpoint, Composed, Mapping[str, Tensor]], ComposedConfig]
    template: Callable[[Any], str]
    names: Sequence[tuple[str, str]]
    unused: Sequence[str]
    unverified: str
    folders: Mapping[str, str] = field(default_factory=lambda: {"": ""})
    prepare: Callable[[dict[str, Tensor]], dict[str, Tensor]] = dict
    tokenizer: str = ""


def load_original(
    family: Composed, source: str, revision: str | None, dtype: torch.dtype, attn: str
) -> tuple[nn.Module, ProcessorMixin] | None:
    """Load a composed model and its processor from a checkpoint in its original layout; None if it is in another.

    Raises
    ------
    WinnowError
        Lists the tensors that are missing, unknown or of a wrong shape.
    """
    checkpoint = Checkpoint(source, revision)
    original = family.original()
    if checkpoint.file("config.json") is None or not original.recognise(checkpoint.json("config.json")):
        return None
    theirs: dict[str, Tensor] = {}
    for folder, prefix in original.folders.items():
        theirs |= {prefix + name: tensor for name, tensor in checkpoint.tensors(folder).items()}
    theirs = original.prepare(theirs)
    config = original.config(checkpoint, family, theirs)
    ours = rename(original, config, theirs, source)
    config.note = f"{source} is converted to '{family.name}'; unverified: {original.unverified}"
    warnings.warn(config.note, stacklevel=2)
    model = ComposedForConditionalGeneration.from_pretrained(
        None, config=config, state_dict=ours, dtype=dtype, attn_implementation=attn
    )
    tokenizer = AutoTokenizer.from_pretrained(source, revision=revision, subfolder=original.tokenizer)
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    vocabulary = tokenizer.get_vocab()
    ends = {vocabulary[token] for token in (tokenizer.eos_token, *ENDS) if token in vocabulary}
    model.generation_config.eos_token_id, model.generation_config.pad_token_id = sorted(ends), tokenizer.pad_token_id
    return model, family.processor(config, tokenizer, original.template(tokenizer))


def rename(original: Original, config: ComposedConfig, theirs: Mapping[str, Tensor], source: str) -> dict[str, Tensor]:
    """Give the tensors our names, and hold them to the model's.

    Raises
    ------
    WinnowError
        Lists the tensors that are missing, unknown or of a wrong shape.
    """
    with torch.device("meta"):
        expected = {name: t.shape for name, t in AutoModelForImageTextToText.from_config(config).state_dict().items()}
    if config.tie_word_embeddings:
        expected.pop("lm_head.weight")
    needed = {name: tensor for name, tensor in theirs.items() if not _unused(name, original, config)}
    renamed = {name: _renamed(name, original.names) for name in needed}
    ours = {new: needed[old] for old, new in renamed.items() if new in expected}
    faults = {
        "missing": sorted(expected.keys() - ours.keys()),
        "unknown": sorted(old for old, new in renamed.items() if new not in expected),
        "of a wrong shape": [
            f"{name} {tuple(tensor.shape)} instead of {tuple(expected[name])}"
            for name, tensor in sorted(ours.items())
            if tensor.shape != expected[name]
        ],
    }
    if any(faults.values()):
        told = "; ".join(f"{kind}: {_some(names)}" for kind, names in faults.items() if names)
        raise WinnowError(f"{source} does not hold the weights of a '{config.family}' model: {told}")
    return ours


def _unused(name: str, original: Original, config: ComposedConfig) -> bool:
    """Whether the model does without a tensor: the layout says so, or its block lies behind the last that is used."""
    block = re.search(r"vision.*\.encoder\.layers\.(\d+)\.", name)
    if block and int(block[1]) >= config.vision_config.num_hidden_layers:
        return True
    return any(re.fullmatch(pattern, name) for pattern in original.unused)


def _renamed(name: str, rules: Iterable[tuple[str, str]]) -> str:
    return next((re.sub(theirs, ours, name) for theirs, ours in rules if re.fullmatch(theirs, name)), "")


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def chat_template(start: str, end: str) -> str:
    """Template of one question: `start`, the pictures with a line break each, the text, `end`."""
    part = "{{ part['text'] if part['type'] == 'text' else '<image>\\n' }}"
    content = f"{{% for part in message['content'] %}}{part}{{% endfor %}}"
    return f"{{{{ {start!r} }}}}{{% for message in messages %}}{content}{{% endfor %}}{{{{ {end!r} }}}}"


def tower_numbers(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, int]:
    """Numbers of a CLIP-L or SigLIP-so400m tower (16 heads), read off the tensors whose names begin with `prefix`."""
    patch = tensors[f"{prefix}embeddings.patch_embedding.weight"]
    positions = len(tensors[f"{prefix}embeddings.position_embedding.weight"])
    blocks = {
        name.removeprefix(prefix).split(".")[2] for name in tensors if name.startswith(f"{prefix}encoder.layers.")
    }
    return {
        "hidden_size": patch.shape[0],
        "patch_size": patch.shape[-1],
        "image_size": int(positions**0.5) * patch.shape[-1],
        "num_hidden_layers": len(blocks),
        "num_attention_heads": 16,
        "intermediate_size": len(tensors[f"{prefix}encoder.layers.0.mlp.fc1.bias"]),
    }

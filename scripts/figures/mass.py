"""How much of the last prompt token's attention goes to visual tokens, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

from scripts.figures.runs import Store
from winnow.models.pico.build import WEIGHTS
from winnow.models.pico.items import draw_item

VIDEOS = 50


def mass(_: Store) -> Iterator[str]:
    """Yield a table of the mean over held-out videos and heads."""
    model = AutoModelForImageTextToText.from_pretrained(WEIGHTS, dtype=torch.float32, attn_implementation="eager")
    processor = AutoProcessor.from_pretrained(WEIGHTS)
    total = torch.zeros(model.config.text_config.num_hidden_layers)
    for index in range(VIDEOS):
        rng, shot, question = draw_item("video", "test", index)
        frames = [Image.fromarray(frame) for frame in shot.render(rng)[0]]
        content = [{"type": "image"}] * len(frames) + [{"type": "text", "text": question.text}]
        prompt = processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)
        inputs = processor(text=[prompt], images=frames, return_tensors="pt")
        visual = inputs["input_ids"][0] == model.config.image_token_index
        with torch.no_grad():
            attentions = model(**inputs, output_attentions=True).attentions
        total += torch.stack([layer[0, :, -1, visual].sum(-1).mean() for layer in attentions])
    yield f"| layer | {' | '.join(str(layer) for layer in range(len(total)))} |"
    yield f"| --- |{' --- |' * len(total)}"
    yield f"| mass on visual tokens | {' | '.join(f'{share:.3f}' for share in (total / VIDEOS).tolist())} |"

"""A method of your own: it says where it acts and how it ranks tokens; Winnow does the rest, on every model."""

from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

import winnow
from winnow import K, Scorer, View


@dataclass(frozen=True)
class LoudestFirst(Scorer):
    """Keep the visual tokens with the largest hidden states."""

    ratio: float = 0.5
    schedule: K = K(2)

    def score(self, view: View) -> torch.Tensor:
        """One number per visual token that is still there, shape ``(visual,)``; the highest stay."""
        return view.visual_hidden.norm(dim=-1)


weights = Path(winnow.__file__).parent / "models/pico/weights"
model = AutoModelForImageTextToText.from_pretrained(weights)
inputs = AutoProcessor.from_pretrained(weights)(
    text="<image> what color", images=[Image.new("RGB", (60, 60))], return_tensors="pt"
)
with winnow.attach(model, LoudestFirst(ratio=0.2)) as trace:
    model.generate(**inputs, max_new_tokens=4)
print(trace.prompts[0].visual_per_layer)
